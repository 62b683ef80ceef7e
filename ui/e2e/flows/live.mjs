// SPDX-License-Identifier: AGPL-3.0-or-later
// Two browsers watch one job; the server is killed and comes back: both show that they are not live, and catch up.

import assert from 'node:assert/strict';

import { close, newJob, open } from '../jobs.mjs';

const bar = (page) => page.getByRole('complementary', { name: 'Side bar' });

export default async function ({ world, visit, wish }) {
  const manager = await visit('manager');
  await close(manager);
  const owner = await visit('researcher');
  const job = await newJob(
    owner,
    world.studies.slice(0, 2).map((s) => ({ study_instance_uid: s.uid })),
  );
  const pages = [owner.page, manager.page];
  for (const page of pages) {
    await page.goto(`/jobs/${job.id}`);
    await bar(page).getByText('Live', { exact: true }).waitFor();
    await page.getByText('Pending', { exact: true }).first().waitFor();
    await page.evaluate(() => (globalThis.notReloaded = true));
  }
  await wish('kill');
  for (const page of pages)
    await bar(page)
      .getByText(/^Not live since \d\d:\d\d$/)
      .waitFor();
  await wish('start');
  for (const page of pages) await bar(page).getByText('Live', { exact: true }).waitFor();
  await open(manager);
  for (const page of pages) {
    await page.getByText('Success', { exact: true }).first().waitFor();
    assert.ok(await page.evaluate(() => globalThis.notReloaded), 'nobody had to load the page again');
  }
}
