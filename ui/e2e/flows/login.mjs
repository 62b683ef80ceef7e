// SPDX-License-Identifier: AGPL-3.0-or-later
// Who comes in, and who does not; a session that ends while somebody works.

import assert from 'node:assert/strict';

export default async function ({ world, visit }) {
  const { page } = await visit();
  await page.goto('/jobs');
  await page.waitForURL('/login?next=*');
  await page.getByLabel('Username').fill('researcher');
  await page.getByRole('textbox', { name: 'Password' }).fill('not this one');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').getByText('Wrong username or password.').waitFor();
  assert.equal(
    await page.getByRole('textbox', { name: 'Password' }).inputValue(),
    '',
    'a wrong password is not kept',
  );
  await page.getByRole('textbox', { name: 'Password' }).fill(world.password);
  await page.getByRole('textbox', { name: 'Password' }).press('Enter');
  await page.waitForURL('/jobs');
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();

  // A link to elsewhere leads nowhere else.
  await page.goto('/login?next=//elsewhere.example');
  await page.getByLabel('Username').fill('researcher');
  await page.getByRole('textbox', { name: 'Password' }).fill(world.password);
  await page.getByRole('button', { name: 'Log in' }).click();
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
  await dialog.getByRole('textbox', { name: 'Password' }).fill(world.password);
  await dialog.getByRole('button', { name: 'Log in' }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText('Live', { exact: true }).first().waitFor();

  await page.getByRole('button', { name: /researcher/ }).click();
  await page.getByRole('menuitem', { name: 'Log out' }).click();
  await page.waitForURL('/login');
  assert.equal((await page.request.get('/api/v1/me')).status(), 401);

  // Who has no right sees no way, and gets none.
  const visitor = await visit('visitor');
  await visitor.page.goto('/');
  await visitor.page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Jobs' }).waitFor();
  assert.equal(await visitor.page.getByRole('link', { name: 'Selective Transfer' }).count(), 0);
  await visitor.page.goto('/selective-transfer');
  await visitor.page.getByText('do not have the right').waitFor();
  await visitor.page.goto('/jobs/1');
  await visitor.page.getByText('somebody else’s').first().waitFor();
}
