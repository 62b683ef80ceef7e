// SPDX-License-Identifier: AGPL-3.0-or-later
// From a file with faults to a transfer: faults at their cells, a corrected file, results, and what is made of them.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { call, ended } from '../jobs.mjs';

const header = 'PatientID,From,Until,Modality,Pseudonym,Cohort';
const faulty = [
  header,
  'PHANTOM-101,,,CT,SUBJ-1,A',
  'PHANTOM-107,2026-12-31,2026-01-01,MR,,A',
  'PHANTOM-103,,,,,B',
  ',,,CT,,B',
];
const corrected = [
  header,
  'PHANTOM-101,,,CT,SUBJ-1,A',
  'PHANTOM-107,2026-01-01,2026-12-31,MR,,A',
  'PHANTOM-103,,,CT,,B',
  'PHANTOM-404,,,CT,,B',
];

const fileOf = (lines) => ({
  name: 'cohort.csv',
  mimeType: 'text/csv',
  buffer: Buffer.from(lines.join('\r\n')),
});

/** drop drops a file somewhere on the page, as a person does who misses the zone. */
const drop = (page, lines) =>
  page.evaluate((text) => {
    const dataTransfer = new globalThis.DataTransfer();
    dataTransfer.items.add(new globalThis.File([text], 'cohort.csv', { type: 'text/csv' }));
    const at = document.querySelector('h1');
    for (const type of ['dragover', 'drop'])
      at.dispatchEvent(new globalThis.DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
  }, lines.join('\r\n'));

export default async function ({ world, visit }) {
  await call(await visit('manager'), 'PATCH', '/settings', { ethics_id_needed: true });
  const owner = await visit('researcher');
  const { page } = owner;
  const main = page.getByRole('navigation', { name: 'Main' });
  await page.goto('/');
  await main.getByRole('link', { name: 'Batch Query' }).waitFor();
  await page.getByRole('heading', { name: 'Home', level: 1 }).waitFor();
  await page.evaluate(() => (window.sameDocument = true));
  await page.keyboard.press('g');
  await page.keyboard.press('q');
  await page.getByRole('heading', { name: 'Batch Query', level: 1 }).waitFor();
  const source = page.getByRole('button', { name: 'DICOM Server PACS-A' });
  await source.click();
  await page.getByRole('button', { name: /^Title, ethics/ }).click();
  await page.getByLabel('Title').fill('Stroke cohort');

  // The button opens the dialog for files, also by keys.
  const choosing = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'Choose a file' }).press('Enter');
  await (await choosing).setFiles(fileOf(faulty));
  const grid = page.getByRole('region', { name: 'Rows of the file' });
  const { faults } = await call(owner, 'POST', '/batch:check', {
    kind: 'batch_query',
    file: fileOf(faulty).buffer.toString('base64'),
  });
  assert.ok(faults.length >= 3, JSON.stringify(faults));
  const columns = header.split(',');
  for (const { row, column, says } of faults) {
    const cell = grid
      .locator('tr')
      .filter({ has: page.getByRole('rowheader', { name: String(row), exact: true }) });
    await cell.locator('td[data-bad]').nth(0).waitFor();
    const bad = column ? cell.locator('td').nth(columns.indexOf(column)) : cell.locator('td').first();
    await bad.and(page.locator('[data-bad]')).getByText(says).waitFor();
  }
  const create = page.getByRole('button', { name: 'Create job' });
  assert.ok(await create.isDisabled());
  await page.getByText('A job can be created when the file has no fault.').waitFor();
  const numbers = grid.locator('tbody th[scope=row]');
  assert.deepEqual(await numbers.allInnerTexts(), ['3', '4', '5']);
  await page.getByText('All 4', { exact: true }).click();
  await numbers.nth(3).waitFor();
  assert.deepEqual(await numbers.allInnerTexts(), ['2', '3', '4', '5']);
  await page.getByRole('group', { name: 'Show faults of a kind' }).getByRole('button').first().click();
  assert.ok(await page.getByRole('radio', { name: '3 faulty rows' }).isChecked());

  // Back with remarks, it has the same faults.
  const remarked = page.waitForEvent('download');
  await page.getByRole('button', { name: 'With remarks (.xlsx)' }).click();
  assert.equal((await remarked).suggestedFilename(), 'cohort-remarks.xlsx');
  const file = await readFile(await (await remarked).path(), 'base64');
  const again = await call(owner, 'POST', '/batch:check', { kind: 'batch_query', file });
  assert.deepEqual(
    again.faults.map((f) => f.says),
    faults.map((f) => f.says),
  );

  await drop(page, corrected);
  await page.getByText('4 rows: 4 searches for 4 patients.').waitFor();
  assert.equal(await page.getByLabel('Title').inputValue(), 'Stroke cohort');
  await create.click();

  await page.waitForURL(/\/jobs\/\d+$/);
  const id = Number(page.url().split('/').at(-1));
  const results = page.getByRole('table', { name: 'Results' });
  await results.getByText('PHANTOM-107').waitFor();
  const job = await ended(owner, id);
  assert.deepEqual(
    [job.status, job.title, job.tasks.success, job.tasks.failure],
    ['failure', 'Stroke cohort', 3, 1],
  );
  await page.getByText('4 results', { exact: true }).waitFor();
  await page.getByText('Stroke cohort', { exact: true }).waitFor();

  await page.getByLabel('Filter results by text').fill('neurocranium');
  await page.getByText('1 of 4', { exact: true }).waitFor();
  await page.getByLabel('Filter results by text').fill('');
  await results.getByRole('button', { name: 'Only row 2' }).first().click();
  await page.getByText('2 of 4', { exact: true }).waitFor();
  assert.match(page.url(), /\?row=2$/);
  await page.getByRole('button', { name: /^Row 2/ }).click();

  const saved = async (name) => {
    const coming = page.waitForEvent('download');
    await page.getByRole('link', { name }).click();
    return (await (await coming).path()) ?? '';
  };
  assert.match(await readFile(await saved('Download 1 failed row'), 'latin1'), /^PK/); // a workbook
  const exported = await saved('Download .csv');

  // What is picked goes into the selection.
  const pick = (description) =>
    results.getByRole('row').filter({ hasText: description }).getByRole('checkbox').first().check();
  await pick('MR Neurocranium');
  await page.getByRole('button', { name: 'Transfer these' }).click();
  await page.getByRole('region', { name: 'Transfer' }).getByText('1 study, 8 images').waitFor();
  await page.goBack();

  // With a pseudonym of the file it goes as a file, which keeps it.
  await results.getByRole('row').filter({ hasText: 'SUBJ-1' }).first().getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Transfer these' }).click();
  await page.getByRole('heading', { name: 'Batch Transfer', level: 1 }).waitFor();
  await page.getByText('picked-results.csv').waitFor();
  await page.getByText('1 row: 1 study of 1 patient.').waitFor();
  await page.getByRole('button', { name: 'Discard file' }).click();

  // The export is a batch transfer as it is.
  await main.getByRole('link', { name: 'Batch Transfer' }).click();
  await page.locator('input[type=file]').setInputFiles(exported);
  await page.getByText('4 rows: 4 studies of 3 patients.').waitFor();
  await page
    .getByRole('combobox', { name: 'Destination' })
    .or(page.getByRole('textbox', { name: 'Destination' }))
    .first()
    .click();
  await page.getByRole('option', { name: /RESEARCH/ }).click();
  await page.getByText('Type the ethics application ID.').waitFor(); // the site asks for it
  await page.getByLabel('Ethics application ID').fill('S-123/2026');
  await page.keyboard.press('Control+Enter');
  await page.waitForURL(/\/jobs\/\d+$/);
  const transfer = await ended(owner, Number(page.url().split('/').at(-1)));
  assert.deepEqual(
    [transfer.kind, transfer.tasks.failure, transfer.pseudonymize, transfer.ethics_id],
    ['batch_transfer', 0, true, 'S-123/2026'],
  );
  const images = world.studies.slice(0, 4).reduce((n, s) => n + s.images, 0);
  assert.ok(transfer.delivered > images / 2, `${transfer.delivered} of ${images}`);
  await page.getByRole('heading', { name: `Job ${transfer.id}` }).waitFor();
  assert.ok(await page.evaluate(() => window.sameDocument), 'no reload on the way');

  // Each source has a job, which leads to those of the others.
  const { jobs } = await call(owner, 'POST', '/batch-queries', {
    sources: ['PACS-A', 'RESEARCH'],
    file: fileOf(corrected).buffer.toString('base64'),
  });
  const [first, second] = jobs.map((j) => j.id);
  await page.goto(`/jobs/${first}`);
  await page.getByRole('link', { name: `Job ${second}` }).click();
  await page.getByRole('heading', { name: `Job ${second}` }).waitFor();
  await page.getByText(`Job ${first} asks PACS-A`).waitFor();
}
