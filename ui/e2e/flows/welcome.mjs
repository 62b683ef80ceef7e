// SPDX-License-Identifier: AGPL-3.0-or-later
// By the keyboard: the first start, from the address that the program prints to a first transfer.

import assert from 'node:assert/strict';

export default async function ({ world, visit }) {
  const { page, keys } = await visit(undefined, { mouse: false });
  const [link] = /\/welcome#[0-9a-f]+/.exec(world.banner) ?? [];
  assert.ok(link, world.banner);
  await page.goto(link);
  await page.getByRole('textbox', { name: 'New password', exact: true }).waitFor();
  await keys.type(/^New password/, world.password);
  await keys.type(/^Repeat the new password/, world.password);
  await keys.press(/^Set the password/);

  const addServer = async (name, peer, sends) => {
    await keys.type(/^Name in ADIT/, name);
    await keys.type(/^AE title/, peer.ae_title);
    await keys.type(/^Host/, '127.0.0.1');
    await keys.type(/^Port/, String(peer.port));
    const found = page.getByRole('list', { name: 'What ADIT found' });
    await found.getByText(/C-ECHO/).waitFor(); // the check begins by itself
    if (sends) assert.ok(await page.getByRole('switch', { name: /may send studies/ }).isChecked());
    await keys.press(/^Save and go on/);
  };
  await page.getByRole('heading', { level: 1, name: 'Add your first PACS' }).waitFor();
  assert.equal(new URL(page.url()).hash, '', 'the code is not kept in the address');
  await addServer('PACS-A', world.source);
  await page.getByRole('heading', { level: 1, name: 'Who may use it' }).waitFor();
  await keys.press(/^Add another PACS/);
  await addServer('RESEARCH', world.destination, true);
  await page.getByRole('heading', { level: 1, name: 'Who may use it' }).waitFor();
  await keys.press(/^Save and go on/);
  await page.getByRole('heading', { level: 1, name: 'ADIT is ready' }).waitFor();
  await keys.press(/search/i);

  await page.getByRole('heading', { level: 1, name: 'Selective Transfer' }).waitFor();
  await keys.type(/^Patient ID/, 'PHANTOM-107');
  await page.keyboard.press('Enter');
  await keys.row(/MR Neurocranium/);
  await page.keyboard.press('Space');
  await keys.press(/^Start transfer/);
  await page.waitForURL(/\/jobs\/\d+$/);
  await page.getByText('Success', { exact: true }).first().waitFor();
}
