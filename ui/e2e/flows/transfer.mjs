// SPDX-License-Identifier: AGPL-3.0-or-later
// The main job: search, pick a study and single series over two searches, start, and watch it end.

import assert from 'node:assert/strict';

import { call, ended } from '../jobs.mjs';

export default async function ({ visit }) {
  const owner = await visit('researcher');
  const { page } = owner;
  await page.goto('/');
  await page
    .getByRole('navigation', { name: 'Main' })
    .getByRole('link', { name: 'Selective Transfer' })
    .click();
  const choose = async (label, option) => {
    await page
      .getByRole('combobox', { name: label })
      .or(page.getByRole('textbox', { name: label }))
      .first()
      .click();
    await page.getByRole('option', { name: option }).click();
  };
  await choose('Source', /PACS-A/);
  await choose('Destination', /RESEARCH/);
  await page.getByText(/Transfers start at once/).waitFor();

  const search = async (field, value) => {
    for (const other of ['Patient ID', 'Patient name']) await page.getByLabel(other).fill('');
    await page.getByLabel(field).fill(value);
    await page.getByRole('button', { name: 'Search', exact: true }).click();
  };
  await search('Patient ID', 'PHANTOM-101');
  const grid = page.getByRole('treegrid', { name: 'Studies found' });
  await grid.getByText('2026-11-11').waitFor();
  await grid.getByRole('button', { name: 'Show series' }).first().click();
  await grid
    .getByRole('row', { name: /Thorax 1.0 lung/ })
    .getByRole('checkbox')
    .check();
  await grid
    .getByRole('row', { name: /Thorax 3.0 mediastinum/ })
    .getByRole('checkbox')
    .check();

  await search('Patient name', 'Phantom^Delta*');
  await grid.getByText('幻影').first().waitFor();
  await grid
    .getByRole('row', { name: /MR Neurocranium/ })
    .getByRole('checkbox')
    .check();
  const dock = page.getByRole('region', { name: 'Transfer' });
  await dock.getByText(/1 study and 2 series/).waitFor();
  await dock.getByText('18 images').first().waitFor();
  await choose('Pseudonyms', /identity/i);
  await dock
    .getByText(/sent unchanged/)
    .first()
    .waitFor(); // a warning
  await page.keyboard.press('Control+Enter');

  await page.waitForURL(/\/jobs\/\d+$/);
  await page.getByText('Success', { exact: true }).first().waitFor();
  await page.getByText('of 18', { exact: true }).waitFor();
  const id = Number(page.url().split('/').at(-1));
  const job = await ended(owner, id);
  assert.deepEqual([job.status, job.delivered, job.tasks.success], ['success', 18, 2]);
  const { items } = await call(owner, 'GET', `/jobs/${id}/tasks`);
  const chosen = items.map((task) => task.series_instance_uids?.length ?? 'all').sort();
  assert.deepEqual(chosen, [2, 'all'], 'the two series that were picked, and no other');
}
