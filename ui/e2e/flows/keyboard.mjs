// SPDX-License-Identifier: AGPL-3.0-or-later
// The main job without a mouse.

import assert from 'node:assert/strict';

export default async function ({ visit }) {
  const { page } = await visit('researcher');
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
