// SPDX-License-Identifier: AGPL-3.0-or-later
// What people do, without a mouse.

import assert from 'node:assert/strict';

import { close, newJob, open } from '../jobs.mjs';

/** tabTo presses Tab until what has the focus has a name. It must be seen then: only a toast may cover it for a while. */
async function tabTo(page, name, key = 'Tab') {
  const seen = [];
  for (let i = 0; i < 120; i++) {
    const named = await page.evaluate(() => {
      const e = document.activeElement;
      if (e.matches('body,h1')) return ''; // which have the focus only at first
      return (e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.textContent ?? '').trim();
    });
    if (name.test(named)) {
      const covering = () =>
        page.evaluate(() => {
          const e = document.activeElement;
          if (!e.matches('a,button,input:not([type=radio])')) return '';
          const { left, top, width, height } = e.getBoundingClientRect();
          const above = document.elementFromPoint(left + width / 2, top + height / 2);
          return !above || e.contains(above) || above.contains(e) ? '' : above.outerHTML.slice(0, 200);
        });
      let by = await covering();
      for (let tries = 0; by && tries < 80; tries++) {
        await page.waitForTimeout(100);
        by = await covering();
      }
      assert.equal(by, '', `${named} has the focus, but something covers it`);
      return;
    }
    seen.push(named.slice(0, 30));
    await page.keyboard.press(key);
  }
  assert.fail(`no key leads to ${name}: ${seen.join(' | ')}`);
}

/** press presses a key where something of a name is. */
async function press(page, name, key = 'Enter') {
  await tabTo(page, name);
  await page.keyboard.press(key);
}

/** noMouse has every touch of a pointer be a fault. */
const noMouse = (page) =>
  page.addInitScript(() =>
    globalThis.addEventListener('pointerdown', () => console.error('a pointer was used'), { capture: true }),
  );

export default async function ({ visit }) {
  const manager = await visit('manager');
  const owner = await visit('researcher');
  const { page } = owner;
  await noMouse(page);
  await transfer(page);
  await jobs(owner, manager);
  await batch(page);
  await token(page);
}

/** transfer searches, picks and starts. */
async function transfer(page) {
  const { keyboard } = page;
  await page.goto('/');
  await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
  await keyboard.press('g');
  await keyboard.press('s');
  await page.getByRole('heading', { level: 1, name: 'Selective Transfer' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1', 'a new page has the focus');

  const pick = async (label, typed) => {
    for (let i = 0; i < 60; i++) {
      const name = await page.evaluate(() => {
        const at = document.activeElement;
        return at?.getAttribute('aria-label') ?? at?.labels?.[0]?.textContent ?? '';
      });
      if (name.startsWith(label)) break;
      await keyboard.press('Tab');
    }
    if (typed) {
      await keyboard.press('ArrowDown');
      await page.getByRole('option', { name: typed }).waitFor();
      for (let i = 0; i < 20; i++) {
        const chosen = page.locator('[role=option][data-combobox-selected]');
        if ((await chosen.count()) && typed.test(await chosen.innerText())) break;
        await keyboard.press('ArrowDown');
      }
      await keyboard.press('Enter');
    }
  };
  await pick('Source', /PACS-A/);
  await pick('Destination', /RESEARCH/);
  await pick('Patient ID');
  await keyboard.type('PHANTOM-107');
  await keyboard.press('Enter');
  const row = page.getByRole('row', { name: /MR Neurocranium/ });
  await row.waitFor();
  for (let i = 0; i < 40 && !(await row.evaluate((e) => e === document.activeElement)); i++)
    await keyboard.press('Tab');
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

/** jobs pauses a job, continues it, cancels and resumes it; and tries another one again, which has failed. */
async function jobs(owner, manager) {
  const { page } = owner;
  const { keyboard } = page;
  await close(manager);
  const job = await newJob(owner, [{ study_instance_uid: '1.2.826.0.1.3680043.8.498.404' }]);
  await keyboard.press('g');
  await keyboard.press('j');
  await page.waitForURL('/jobs');
  await tabTo(page, /^Go to a job by its number/);
  await keyboard.type(`${job.id}`);
  await keyboard.press('Enter');
  await page.waitForURL(`/jobs/${job.id}`);
  await press(page, /^Pause/);
  await status(page, 'Pending · paused');
  await press(page, /^Continue/);
  await status(page, 'Pending');
  const cancel = async () => {
    await press(page, /^More/);
    const item = page.getByRole('menuitem', { name: /^Cancel/ });
    await item.waitFor();
    await tabTo(page, /^Cancel/, 'ArrowDown');
    await keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
  };
  await cancel();
  await keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await cancel();
  await press(page, /^Cancel job/);
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await status(page, 'Canceled');
  await press(page, /^Resume/);
  await status(page, 'Pending');
  await open(manager);
  await status(page, 'Failure');
  const again = page.waitForResponse((r) => r.url().endsWith(`/jobs/${job.id}:retry`));
  await press(page, /^Retry/);
  assert.ok((await again).ok());
  await status(page, 'Failure');
}

/** batch chooses a file with a fault, looks at it, and sends the corrected one. */
async function batch(page) {
  const { keyboard } = page;
  const choose = async (button, lines) => {
    const choosing = page.waitForEvent('filechooser');
    await press(page, button);
    await (
      await choosing
    ).setFiles({ name: 'rows.csv', mimeType: 'text/csv', buffer: Buffer.from(lines.join('\n')) });
  };
  await keyboard.press('g');
  await keyboard.press('q');
  await page.getByRole('heading', { name: 'Batch Query', level: 1 }).waitFor();
  await choose(/^Choose a file/, ['PatientID,Modality', 'PHANTOM-101,CT', 'PHANTOM-107,', 'PHANTOM-103,CT']);
  await page.getByText('1 of 3 rows has faults.').waitFor();
  await tabTo(page, /^DICOM Server PACS-A/);
  if ((await page.evaluate(() => document.activeElement.ariaPressed)) !== 'true')
    await keyboard.press('Space');
  await tabTo(page, /faulty row/);
  await keyboard.press('ArrowRight');
  await page.getByRole('region', { name: 'Rows of the file' }).locator('tbody').nth(2).waitFor();
  const download = page.waitForEvent('download');
  await press(page, /^With remarks/);
  await download;
  await press(page, /Value missing/, 'Space');
  await tabTo(page, /^Create job|^Discard file/);
  await choose(/^Choose the corrected file/, ['PatientID,Modality', 'PHANTOM-101,CT', 'PHANTOM-107,MR']);
  await page.getByText('2 rows: 2 searches for 2 patients.').waitFor();
  await press(page, /^Create job/);
  await page.waitForURL(/\/jobs\/\d+$/);
  await status(page, 'Success');
}

/** token makes a token in the profile, copies and revokes it. */
async function token(page) {
  const { keyboard } = page;
  await keyboard.press('Control+k');
  await page.getByRole('dialog').waitFor();
  await keyboard.type('profile');
  await page.getByRole('dialog').getByText('Profile and tokens').waitFor();
  await keyboard.press('Enter');
  await page.waitForURL('/profile');
  await tabTo(page, /^Profile$/);
  await keyboard.press('ArrowRight');
  await page.getByRole('heading', { name: 'Create a token' }).waitFor();
  await tabTo(page, /^Description/);
  await keyboard.type('Nightly export');
  await keyboard.press('Enter');
  await press(page, /^Copy the token/);
  await page.getByText('Copied', { exact: true }).waitFor();
  assert.match(await page.evaluate(() => globalThis.navigator.clipboard.readText()), /^[0-9a-f]{40}$/);
  await press(page, /^Revoke Nightly export/);
  await page.getByRole('dialog').waitFor();
  await press(page, /^Revoke/);
  await page.getByText('Nightly export').waitFor({ state: 'hidden' });
}
