// SPDX-License-Identifier: AGPL-3.0-or-later
// The session ends in the middle of a form: after a new login in the dialog, all that was typed is still there, and what
// was begun goes through.

import assert from 'node:assert/strict';

import { call } from '../jobs.mjs';

export default async function ({ world, visit }) {
  const owner = await visit('researcher');
  const { page } = owner;
  const expire = async () => {
    const cookies = await page.context().cookies();
    await page.request.delete('/api/v1/session');
    await page.context().addCookies(cookies); // the browser still has it
  };
  const dialog = page.getByRole('dialog', { name: 'Your session has ended' });
  const logIn = async () => {
    await dialog.getByRole('textbox', { name: 'Password' }).fill(world.password);
    await dialog.getByRole('button', { name: 'Log in' }).click();
    await dialog.waitFor({ state: 'hidden' });
  };

  await page.goto('/jobs');
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
  await page.getByLabel('Patient ID').fill('PHANTOM-107');
  await page.getByLabel('Accession #').fill('A2600109');
  await expire();
  await dialog.waitFor();
  await page.evaluate(() => globalThis.history.back()); // neither the dialog nor the page goes
  await logIn();
  await page.waitForURL('/selective-transfer?*');
  assert.equal(await page.getByLabel('Patient ID').inputValue(), 'PHANTOM-107');
  assert.equal(await page.getByLabel('Accession #').inputValue(), 'A2600109');
  await page.getByText('Live', { exact: true }).first().waitFor();
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page
    .getByRole('row', { name: /MR Neurocranium/ })
    .getByRole('checkbox')
    .check();

  const dock = page.getByRole('region', { name: 'Transfer' });
  await choose('Pseudonyms', 'I type one');
  await dock.getByLabel('Pseudonym', { exact: true }).fill('SUBJ-77');
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
