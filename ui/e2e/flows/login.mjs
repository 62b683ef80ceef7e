// SPDX-License-Identifier: AGPL-3.0-or-later
// By the keyboard: who comes in, and who does not; a session that ends while somebody works.

import assert from 'node:assert/strict';

export default async function ({ world, visit }) {
  const { page, keys } = await visit(undefined, { mouse: false });
  await page.goto('/jobs');
  await page.waitForURL('/login?next=*');
  await keys.type(/^Username/, 'researcher');
  await keys.type(/^Password/, 'not this one');
  await keys.press(/^Log in$/);
  await page.getByRole('alert').getByText('Wrong username or password.').waitFor();
  assert.equal(
    await page.getByRole('textbox', { name: 'Password' }).inputValue(),
    '',
    'a wrong password is not kept',
  );
  await keys.type(/^Password/, world.password);
  await page.keyboard.press('Enter');
  await page.waitForURL('/jobs');
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();

  // A link to elsewhere leads nowhere else.
  await page.goto('/login?next=//elsewhere.example');
  await keys.type(/^Username/, 'researcher');
  await keys.type(/^Password/, world.password);
  await keys.press(/^Log in$/);
  await page.waitForURL('/');

  // The session ends elsewhere: the page asks for the login above itself, and goes on.
  await page.goto('/profile?tab=preferences');
  await page.getByRole('heading', { level: 1 }).waitFor();
  const cookies = await page.context().cookies();
  await page.request.delete('/api/v1/session');
  await page.context().addCookies(cookies); // the browser still has it, as if it had expired
  const dialog = page.getByRole('dialog', { name: 'Your session has ended' });
  await dialog.waitFor();
  assert.equal(await dialog.getByLabel('Username').inputValue(), 'researcher');
  await keys.type(/^Password/, world.password);
  await keys.press(/^Log in$/);
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText('Live', { exact: true }).first().waitFor();

  await keys.item(/researcher/, /^Log out/);
  await page.waitForURL('/login');
  assert.equal((await page.request.get('/api/v1/me')).status(), 401);

  // Who has no right sees no way, and gets none.
  const visitor = await visit('visitor', { mouse: false });
  await visitor.page.goto('/');
  await visitor.page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Jobs' }).waitFor();
  assert.equal(await visitor.page.getByRole('link', { name: 'Selective Transfer' }).count(), 0);
  await visitor.page.goto('/selective-transfer');
  await visitor.page.getByText('do not have the right').waitFor();
  await visitor.page.goto('/jobs/1');
  await visitor.page.getByText('somebody else’s').first().waitFor();
}
