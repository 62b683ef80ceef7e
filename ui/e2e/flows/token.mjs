// SPDX-License-Identifier: AGPL-3.0-or-later
// A token is made in the profile, and used by curl.

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
  const { page } = await visit('researcher');
  await page.goto('/profile?tab=tokens');
  await page.getByRole('textbox', { name: 'Description' }).fill('Nightly export');
  await page.getByRole('button', { name: 'Create token' }).click();
  const secret = (await page.getByText(/^[0-9a-f]{40}$/).innerText()).trim();
  assert.match(curl(world, secret), /"username":"researcher"[^]*\n200$/);
  await page.reload();
  await page.getByText('Nightly export').waitFor();
  assert.equal(await page.getByText(secret).count(), 0, 'a token is shown once');
  await page.getByRole('button', { name: /^Revoke/ }).click();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Revoke/ })
    .click();
  await page.getByText('Nightly export').waitFor({ state: 'hidden' });
  assert.match(curl(world, secret), /\n401$/);
}
