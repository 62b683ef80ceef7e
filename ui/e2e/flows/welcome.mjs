// SPDX-License-Identifier: AGPL-3.0-or-later
// The first start: from the address that the program prints to a first transfer.

import assert from 'node:assert/strict';

export default async function ({ world, visit }) {
  const { page } = await visit();
  const [link] = /\/welcome#[0-9a-f]+/.exec(world.banner) ?? [];
  assert.ok(link, world.banner);
  await page.goto(link);
  await page.getByRole('textbox', { name: 'New password', exact: true }).fill(world.password);
  await page.getByRole('textbox', { name: 'Repeat the new password' }).fill(world.password);
  await page.getByRole('button', { name: 'Set the password' }).click();

  const addServer = async (name, peer, sends) => {
    await page.getByLabel('Name in ADIT').fill(name);
    await page.getByLabel('AE title').fill(peer.ae_title);
    await page.getByLabel('Host').fill('127.0.0.1');
    await page.getByLabel('Port').fill(String(peer.port));
    const found = page.getByRole('list', { name: 'What ADIT found' });
    await found.getByText(/C-ECHO/).waitFor(); // the check begins by itself
    if (sends) assert.ok(await page.getByRole('switch', { name: /may send studies/ }).isChecked());
    await page.getByRole('button', { name: 'Save and go on' }).click();
  };
  await page.getByRole('heading', { level: 1, name: 'Add your first PACS' }).waitFor();
  assert.equal(new URL(page.url()).hash, '', 'the code is not kept in the address');
  await addServer('PACS-A', world.source);
  await page.getByRole('heading', { level: 1, name: 'Who may use it' }).waitFor();
  await page.getByRole('button', { name: 'Add another PACS' }).click();
  await addServer('RESEARCH', world.destination, true);
  await page.getByRole('heading', { level: 1, name: 'Who may use it' }).waitFor();
  await page.getByRole('button', { name: 'Save and go on' }).click();
  await page.getByRole('heading', { level: 1, name: 'ADIT is ready' }).waitFor();
  await page
    .getByRole('link', { name: /search/i })
    .first()
    .click();

  await page.getByRole('heading', { level: 1, name: 'Selective Transfer' }).waitFor();
  await page.getByLabel('Patient ID').fill('PHANTOM-107');
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page
    .getByRole('row', { name: /MR Neurocranium/ })
    .getByRole('checkbox')
    .check();
  await page.getByRole('button', { name: 'Start transfer' }).click();
  await page.waitForURL(/\/jobs\/\d+$/);
  await page.getByText('Success', { exact: true }).first().waitFor();
}
