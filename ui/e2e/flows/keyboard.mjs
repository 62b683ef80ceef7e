// SPDX-License-Identifier: AGPL-3.0-or-later
// The main job, a batch query, and what all pages have, without a mouse. Other flows have no mouse either: search,
// actions, cure, token, expiry, login, welcome.

import assert from 'node:assert/strict';

export default async function ({ visit }) {
  const { page, keys } = await visit('researcher', { mouse: false });
  await transfer(page, keys);
  await batch(page, keys);
}

/** transfer searches, picks and starts. */
async function transfer(page, keys) {
  const { keyboard } = page;
  await page.goto('/');
  await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
  await keyboard.press('g');
  await keyboard.press('s');
  await page.getByRole('heading', { level: 1, name: 'Selective Transfer' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1', 'a new page has the focus');

  await keys.choose(/^Source/, /PACS-A/);
  await keys.choose(/^Destination/, /RESEARCH/);
  await keys.type(/^Patient ID/, 'PHANTOM-107');
  await keyboard.press('Enter');
  const row = await keys.row(/MR Neurocranium/);
  await keyboard.press('ArrowRight');
  await page.getByRole('row', { level: 2 }).first().waitFor();
  await keyboard.press('ArrowLeft');
  await keyboard.press('Space');
  assert.equal(await row.getAttribute('aria-selected'), 'true');
  await page.getByRole('button', { name: 'Start transfer' }).waitFor();
  await keyboard.press('Control+Enter');
  await page.waitForURL(/\/jobs\/\d+$/);
  await page.getByText('Success', { exact: true }).first().waitFor();

  // Dialogs give the focus back; Esc closes them.
  await keyboard.press('Control+k');
  await page.getByRole('dialog').waitFor();
  await keyboard.type('Jobs');
  await keyboard.press('Enter');
  await page.waitForURL('/jobs');
  await keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });

  // Back closes a dialog, and then leaves the page.
  await keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.evaluate(() => globalThis.history.back());
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.waitForURL('/jobs'); // the browser had gone back, and came again
  await page.evaluate(() => globalThis.history.back());
  await page.waitForURL(/\/jobs\/\d+$/);
}

const status = (page, word) => page.getByText(word, { exact: true }).first().waitFor();

/** batch chooses a file with a fault, looks at it, and sends the corrected one. */
async function batch(page, keys) {
  const { keyboard } = page;
  const choose = async (button, lines) => {
    const choosing = page.waitForEvent('filechooser');
    await keys.press(button);
    await (
      await choosing
    ).setFiles({ name: 'rows.csv', mimeType: 'text/csv', buffer: Buffer.from(lines.join('\n')) });
  };
  await keyboard.press('g');
  await keyboard.press('q');
  await page.getByRole('heading', { name: 'Batch Query', level: 1 }).waitFor();
  await choose(/^Choose a file/, ['PatientID,Modality', 'PHANTOM-101,CT', 'PHANTOM-107,', 'PHANTOM-103,CT']);
  await page.getByText('1 of 3 rows has faults.').waitFor();
  await keys.to(/^DICOM Server PACS-A/);
  if ((await page.evaluate(() => document.activeElement.ariaPressed)) !== 'true')
    await keyboard.press('Space');
  await keys.to(/faulty row/);
  await keyboard.press('ArrowRight');
  await page.getByRole('region', { name: 'Rows of the file' }).locator('tbody').nth(2).waitFor();
  const download = page.waitForEvent('download');
  await keys.press(/^With remarks/);
  await download;
  await keys.press(/Value missing/, 'Space');
  await keys.to(/^Create job|^Discard file/);
  await choose(/^Choose the corrected file/, ['PatientID,Modality', 'PHANTOM-101,CT', 'PHANTOM-107,MR']);
  await page.getByText('2 rows: 2 searches for 2 patients.').waitFor();
  await keys.press(/^Create job/);
  await page.waitForURL(/\/jobs\/\d+$/);
  await status(page, 'Success');
}
