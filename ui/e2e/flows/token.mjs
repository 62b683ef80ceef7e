// SPDX-License-Identifier: AGPL-3.0-or-later
// By the keyboard: a token is made in the profile, used by curl, and revoked.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';

const curl = (world, token) =>
  execFileSync(
    'curl',
    [
      '--silent',
      '--output',
      '-',
      '--write-out',
      '\n%{http_code}',
      '--header',
      '@-',
      `${world.url}/api/v1/me`,
    ],
    { input: `Authorization: Token ${token}\n`, encoding: 'utf8' },
  );

export default async function ({ world, visit }) {
  const { page, keys } = await visit('researcher', { mouse: false });
  await page.goto('/');
  await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.type('profile');
  await page.getByRole('dialog').getByText('Profile and tokens').waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL('/profile');
  await keys.press(/^Profile$/, 'ArrowRight');
  await page.getByRole('heading', { name: 'Create a token' }).waitFor();
  await keys.type(/^Description/, 'Nightly export');
  await page.keyboard.press('Enter');
  const secret = (await page.getByText(/^[0-9a-f]{40}$/).innerText()).trim();
  await keys.press(/^Copy the token/);
  await page.getByText('Copied', { exact: true }).waitFor();
  assert.equal(await page.evaluate(() => globalThis.navigator.clipboard.readText()), secret);
  assert.match(curl(world, secret), /"username":"researcher"[^]*\n200$/);
  await page.reload();
  await page.getByText('Nightly export').waitFor();
  assert.equal(await page.getByText(secret).count(), 0, 'a token is shown once');
  await keys.press(/^Revoke Nightly export/);
  await page.getByRole('dialog').waitFor();
  await keys.press(/^Revoke/);
  await page.getByText('Nightly export').waitFor({ state: 'hidden' });
  assert.match(curl(world, secret), /\n401$/);
}
