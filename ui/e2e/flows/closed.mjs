// SPDX-License-Identifier: AGPL-3.0-or-later
// What staff has closed for a while says so calmly, loses nothing, and opens again. Servers that are gone are named.

import assert from 'node:assert/strict';

import { call } from '../jobs.mjs';

export default async function ({ visit }) {
  const manager = await visit('manager');
  const set = (settings) => call(manager, 'PATCH', '/settings', settings);
  const { page } = await visit('researcher');
  const again = page.getByRole('button', { name: 'Try again' });
  const noAlert = async () => assert.equal(await page.getByRole('alert').count(), 0, 'it is no error');

  await set({
    locked_sections: ['selective_transfer'],
    section_message: 'Until the new storage is in place.',
  });
  await page.goto('/');
  await page
    .getByRole('navigation', { name: 'Main' })
    .getByRole('link', { name: 'Selective Transfer' })
    .click();
  await page.getByText('Selective Transfer is locked for now').waitFor();
  await page.getByText('Until the new storage is in place.').waitFor();
  await noAlert();
  await set({ locked_sections: [] }); // the page opens by itself
  await page.getByLabel('Patient ID').waitFor();

  await page.goto('/profile');
  await page.getByLabel('Phone').fill('+49 6221 0000');
  await set({ maintenance: true, maintenance_message: 'Back at noon.' });
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Back at noon.').first().waitFor();
  await noAlert();
  await set({ maintenance: false });
  await again.click();
  const phone = page.getByLabel('Phone');
  await phone.waitFor();
  assert.equal(await phone.inputValue(), '+49 6221 0000');

  await page.goto('/selective-transfer?source=GONE&destination=RESEARCH');
  await page.getByText('GONE is not there any more').waitFor();
}
