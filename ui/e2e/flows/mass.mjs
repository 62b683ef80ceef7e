// SPDX-License-Identifier: AGPL-3.0-or-later
// A mass transfer: filters as cards, as JSON and of a table; a dry run, its days and series; other filters; what was
// found goes to its destination.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { call, ended } from '../jobs.mjs';

const table = ['modality,study_description,min_age', 'CT,*Thorax*,18', 'MR,,18'];

export default async function ({ visit }) {
  const owner = await visit('researcher');
  const { page } = owner;
  const chosen = async (label, name) => {
    const field = page.getByRole('combobox', { name: label }).or(page.getByRole('textbox', { name: label }));
    await field.first().click();
    await page.getByRole('option', { name }).click();
  };
  await page.goto('/');
  await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
  await page.evaluate(() => (window.sameDocument = true));
  await page.keyboard.press('g');
  await page.keyboard.press('m');
  await page.getByRole('heading', { name: 'Mass Transfer', level: 1 }).waitFor();
  const start = page.getByRole('button', { name: 'Dry run' });
  assert.ok(await start.isDisabled());
  await chosen('Source', /PACS-A/);
  await chosen('Destination', /RESEARCH/);
  await page.getByText('Say which days are looked through.').waitFor();
  await page.getByLabel('First day').fill('1.11.2026');
  await page.getByLabel('Last day').fill('2026-11-30');
  await page.getByText('30 days are looked through at PACS-A, one after the other.').waitFor();
  await page.getByLabel('Modality').fill('ct');
  await page.getByLabel('Minimum images').fill('4');
  await page.getByText('CT series, with at least 4 images').first().waitFor();

  // The same as JSON: a fault has its line, and keeps both buttons off.
  await page.getByRole('button', { name: 'JSON', exact: true }).click();
  const json = page.getByLabel('Filters as JSON');
  const right = await json.inputValue();
  assert.deepEqual(JSON.parse(right), [
    { mode: 'include', modality: 'CT', min_number_of_series_related_instances: 4 },
  ]);
  await json.fill(right.replace('"modality"', '"Modality"'));
  await page.getByRole('button', { name: 'Line 4' }).click();
  await page.getByText(/Did you mean modality\?/).waitFor();
  assert.ok(await start.isDisabled());
  assert.ok(await page.getByRole('button', { name: 'Cards', exact: true }).isDisabled());
  await page.getByRole('button', { name: 'Back to what was right' }).click();
  await page.getByRole('button', { name: 'Cards', exact: true }).click();

  // A table makes filters of its rows.
  await page.locator('input[type=file]').setInputFiles({
    name: 'filters.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from(table.join('\r\n')),
  });
  await page.getByText('What fits one of 3 filters goes').waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByText('CT series, with at least 4 images, go').waitFor();

  // What was typed is there for who comes back.
  await page.getByRole('link', { name: 'Jobs', exact: true }).click();
  await page.getByRole('heading', { name: 'Jobs', level: 1 }).waitFor();
  await page.goBack();
  await page.getByText('CT series, with at least 4 images, go').waitFor();
  await start.click();

  await page.waitForURL(/\/jobs\/\d+$/);
  const dry = await ended(owner, Number(page.url().split('/').at(-1)));
  assert.deepEqual([dry.status, dry.tasks.success, dry.delivered], ['success', 30, 0], dry.message);
  await page
    .getByText(/^2 series of 1 study, 10 images of 1 patient, go pseudonymized to RESEARCH/)
    .waitFor();

  // Through the days by keys; one of them has the series.
  await page.getByRole('gridcell', { name: /^Mon 2 Nov 2026: / }).focus();
  for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown', 'Enter']) await page.keyboard.press(key);
  await page
    .getByRole('gridcell', { name: /^Wed 11 Nov 2026: 1 study, 2 series, 10 images/, selected: true })
    .waitFor();
  await page.getByRole('heading', { name: '2 series · Wed 11 Nov 2026' }).waitFor();
  assert.match(page.url(), /\?partition=\d+$/);
  const series = page.getByRole('table', { name: 'Series' });
  await series.getByText('Thorax 1.0 lung').waitFor();
  await page.getByLabel('Filter series by text').fill('mediastinum');
  await page.getByText('1 of 2', { exact: true }).waitFor();

  // Other filters take more: the settings come back into the form.
  await page.getByRole('button', { name: 'Change the filters' }).click();
  await page.getByRole('heading', { name: 'Mass Transfer', level: 1 }).waitFor();
  assert.equal(await page.getByLabel('First day').inputValue(), '2026-11-01');
  await page.getByLabel('Minimum images').fill('3');
  await page.keyboard.press('Control+Enter');
  await page.waitForURL(/\/jobs\/\d+$/);
  const id = Number(page.url().split('/').at(-1));
  assert.notEqual(id, dry.id);
  await ended(owner, id);
  await page.getByText(/^3 series of 2 studies, 13 images of 2 patients/).waitFor();
  await page.getByRole('button', { name: 'Transfer what was found' }).click();
  await page.getByText('Studies delivered').waitFor();
  const job = await ended(owner, id);
  assert.deepEqual([job.status, job.delivered, job.tasks.success], ['success', 13, 32], job.message);
  const delivered = page
    .getByRole('table', { name: 'Series' })
    .getByRole('row')
    .filter({ hasText: 'Success' });
  await delivered.nth(2).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Transfer what was found' }).count(), 0);
  const mass = await call(owner, 'GET', `/jobs/${id}/mass`);
  assert.deepEqual([mass.dry_run, mass.moved.success], [false, 2]);

  const coming = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download .csv' }).click();
  const exported = await readFile(await (await coming).path(), 'utf8');
  assert.equal(exported.trim().split(/\r?\n/).length, 4, exported.split('\n')[0]);

  // A task of the days says so, and leads back to their series.
  await page.getByRole('link', { name: 'Task 11', exact: true }).click();
  await page.getByRole('link', { name: 'Series of these days' }).click();
  await page.getByRole('heading', { name: '2 series · Wed 11 Nov 2026' }).waitFor();
  assert.ok(await page.evaluate(() => window.sameDocument), 'no reload on the way');
}
