// SPDX-License-Identifier: AGPL-3.0-or-later
// What runs again and again: a mass transfer and a batch query are planned, run at once, paused, planned anew, removed.

import assert from 'node:assert/strict';

import { call, ended } from '../jobs.mjs';

export default async function ({ visit }) {
  const owner = await visit('researcher');
  const { page } = owner;
  const list = page.getByRole('heading', { name: 'What runs again', level: 1 });
  const act = async (of, name) => {
    await page.getByRole('button', { name: `Actions of ${of}` }).click();
    await page.getByRole('menuitem', { name }).click();
  };
  await page.goto('/jobs');
  await page.getByRole('link', { name: 'Recurring', exact: true }).click();
  await list.waitFor();
  await page.getByText('Nothing runs again').waitFor();
  await page.getByRole('main').getByRole('link', { name: 'Mass Transfer' }).click();

  await page.goto('/mass-transfer?source=PACS-A&destination=RESEARCH');
  await page.getByLabel('First day').fill('2026-11-10');
  await page.getByLabel('Modality').fill('CT');
  await page.getByText('Say which days are looked through.').waitFor();
  await page.getByRole('button', { name: 'Again and again' }).click();
  await page.getByText('Every day at 02:00, ADIT looks for what is new at PACS-A.').waitFor();
  assert.ok(await page.getByLabel('Last day', { exact: true }).isDisabled());
  assert.equal(await page.getByRole('button', { name: 'Dry run' }).count(), 0);
  await page.getByText(/^By the clock of UTC, where it is \d\d:\d\d now\.$/).waitFor();
  const make = page.getByRole('button', { name: 'Have it run again' });
  await page.getByLabel('Time').fill('25:00');
  await page.getByText('Correct when it runs.').waitFor();
  assert.ok(await make.isDisabled());
  await page.getByLabel('Time').fill('2:30');
  for (const day of ['Mon', 'Thu']) await page.getByRole('button', { name: day, exact: true }).click();
  await page.getByText('Mon and Thu at 02:30, ADIT looks for what is new at PACS-A.').waitFor();
  await page.keyboard.press('Control+Enter');

  await list.waitFor();
  await page.getByText('Mon and Thu at 02:30 (UTC)').waitFor();
  await page.getByText(/^Next: .* by your clock$/).waitFor();
  await page.getByText('It has not run yet.').waitFor();
  const { items } = await call(owner, 'GET', '/recurrences');
  const { id, start_date, overlap_days, weekdays } = items[0];
  assert.deepEqual([items.length, start_date, overlap_days, weekdays], [1, '2026-11-10', 7, ['mon', 'thu']]);

  // A run is a job, which leads back.
  await act(`Mass Transfer ${id}`, 'Run now');
  await page.getByRole('link', { name: /^Job \d+$/ }).click();
  await page.waitForURL(/\/jobs\/\d+$/);
  const job = await ended(owner, Number(page.url().split('/').at(-1)));
  assert.deepEqual([job.status, job.recurrence_id, job.delivered], ['success', id, 10], job.message);
  await page.getByRole('link', { name: `recurrence ${id}` }).click();
  await list.waitFor();

  await act(`Mass Transfer ${id}`, 'Pause');
  await page.getByText('Paused', { exact: true }).waitFor();
  await act(`Mass Transfer ${id}`, 'Continue');
  await page.getByText(/^Next: /).waitFor();
  await act(`Mass Transfer ${id}`, 'Change the time…');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Time').fill('03:15');
  await dialog.getByRole('button', { name: 'Thu', exact: true }).click();
  await dialog.getByRole('button', { name: 'Change', exact: true }).click();
  await page.getByText('Mon at 03:15 (UTC)').waitFor();
  await dialog.waitFor({ state: 'detached' });
  assert.match(
    (await page.evaluate(() => document.activeElement?.ariaLabel)) ?? '',
    /^Actions of Mass Transfer/,
  );

  // A batch query runs again, too.
  await page.goto('/batch-query?source=PACS-A');
  await page.locator('input[type=file]').setInputFiles({
    name: 'cohort.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('PatientID,Modality\nPHANTOM-101,CT'),
  });
  await page.getByRole('button', { name: 'Again and again' }).click();
  await page.getByText('Every day at 02:00: 1 search').waitFor();
  await page.getByRole('button', { name: 'Have it run again' }).click();
  await page.getByText('2 recurrences').waitFor();

  await act(`Mass Transfer ${id}`, 'Remove…');
  await dialog.getByText('The job that it has made stays').waitFor();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await page.getByText('1 recurrence', { exact: true }).waitFor();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'Jobs', exact: true }).first().click();
  await page.getByRole('link', { name: 'Recurring (1)' }).waitFor();
  assert.equal((await call(owner, 'GET', `/jobs/${job.id}`)).recurrence_id, undefined);
}
