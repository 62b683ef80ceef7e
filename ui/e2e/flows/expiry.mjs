// SPDX-License-Identifier: AGPL-3.0-or-later
// By the keyboard: the session ends in the middle of a form: after a new login in the dialog, all that was typed is still there, and what
// was begun goes through.

import assert from 'node:assert/strict';

import { call } from '../jobs.mjs';

export default async function ({ world, visit }) {
  const owner = await visit('researcher', { mouse: false });
  const { page, keys } = owner;
  const expire = async () => {
    const cookies = await page.context().cookies();
    await page.request.delete('/api/v1/session');
    await page.context().addCookies(cookies); // the browser still has it
  };
  const dialog = page.getByRole('dialog', { name: 'Your session has ended' });
  const logIn = async () => {
    await page.locator('[role=dialog] input:focus').waitFor();
    await keys.type(/^Password/, world.password);
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'hidden' });
  };

  await page.goto('/jobs');
  await keys.press(/^Selective Transfer/);
  await page.getByRole('heading', { level: 1, name: 'Selective Transfer' }).waitFor();
  await keys.choose(/^Source/, /PACS-A/);
  await keys.choose(/^Destination/, /RESEARCH/);
  await keys.type(/^Patient ID/, 'PHANTOM-107');
  await keys.type(/^Accession #/, 'A2600109');
  await expire();
  await dialog.waitFor();
  await page.evaluate(() => globalThis.history.back()); // neither the dialog nor the page goes
  await logIn();
  await page.waitForURL('/selective-transfer?*');
  assert.equal(await page.getByLabel('Patient ID').inputValue(), 'PHANTOM-107');
  assert.equal(await page.getByLabel('Accession #').inputValue(), 'A2600109');
  await page.getByText('Live', { exact: true }).first().waitFor();
  await keys.back(/^Accession #/);
  await page.keyboard.press('Enter');
  await keys.row(/MR Neurocranium/);
  await page.keyboard.press('Space');

  const dock = page.getByRole('region', { name: 'Transfer' });
  await keys.choose(/^Pseudonyms/, /^I type one/);
  await keys.type(/^Pseudonym$/, 'SUBJ-77');
  await expire();
  // By the page itself: the dialog may stand before the button already.
  await dock.getByRole('button', { name: 'Start transfer' }).evaluate((button) => button.click());
  await dialog.waitFor();
  await logIn();
  await page.waitForURL(/\/jobs\/\d+$/);
  const { items } = await call(owner, 'GET', `/jobs/${page.url().split('/').at(-1)}/tasks`);
  assert.deepEqual(
    items.map((task) => task.pseudonym),
    ['SUBJ-77'],
  );
}
