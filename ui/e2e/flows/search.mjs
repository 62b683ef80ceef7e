// SPDX-License-Identifier: AGPL-3.0-or-later
// By the keyboard: results come while the server still searches; a search that takes too long is stopped, at the server too.

import assert from 'node:assert/strict';

export default async function ({ visit }) {
  const { page, keys } = await visit('researcher', { mouse: false });
  await page.goto('/selective-transfer?source=SLOW&destination=RESEARCH');
  await keys.type(/^Patient name/, 'Phantom*');
  await page.keyboard.press('Enter');
  await page.getByText('20 so far').waitFor();
  const rows = page.getByRole('treegrid').locator('tbody').getByRole('row');
  await rows.nth(19).waitFor();
  assert.equal(await rows.count(), 20);
  const search = page.getByRole('button', { name: 'Search', exact: true });
  const stopped = page
    .getByRole('status')
    .getByText(/stopped/i)
    .first();
  await page.keyboard.press('Escape');
  await stopped.waitFor();
  await search.waitFor();
  assert.equal(await rows.count(), 20, 'what was found stays');
  await keys.press(/^Search$/);
  await keys.press(/^Stop$/);
  await stopped.waitFor();
  await search.waitFor();

  // Nothing is kept over a reload, and nothing of it is in the address.
  assert.equal(new URL(page.url()).search, '?source=SLOW&destination=RESEARCH');
  await page.reload();
  await page.getByRole('button', { name: 'Search', exact: true }).waitFor();
  assert.equal(await page.getByLabel('Patient name').inputValue(), '');
}
