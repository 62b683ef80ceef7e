// SPDX-License-Identifier: AGPL-3.0-or-later
// A study is not at the source, and comes there later: the page leads to a new search, and a retry brings it, while
// nobody loads the page again. The answer to the retry comes after the events that tell how it ended.

import assert from 'node:assert/strict';

import { ended, newJob } from '../jobs.mjs';

export default async function ({ world, visit, wish }) {
  const owner = await visit('researcher', { mouse: false });
  const { page, keys } = owner;
  const job = await newJob(owner, [{ study_instance_uid: world.late.uid }]);
  assert.equal((await ended(owner, job.id)).status, 'failure');

  await page.goto(`/jobs/${job.id}/tasks/1`);
  await page.getByRole('button', { name: 'Try again' }).waitFor();
  await page.getByRole('link', { name: 'Pick the study again' }).waitFor();

  await page.goto(`/jobs/${job.id}`);
  const wrong = page.getByRole('region', { name: /What went wrong/ });
  await wrong.getByText(/Study Instance UID/).waitFor();
  await page.evaluate(() => (globalThis.notReloaded = true));
  await keys.press(/^Pick the study again/);
  await page.waitForURL('/selective-transfer?*');
  assert.equal(
    new URL(page.url()).search,
    '?source=PACS-A&destination=RESEARCH',
    'no study is in the address',
  );
  await page.goBack();

  await wish('upload');
  let late = '';
  await page.route(`**/jobs/${job.id}:retry`, async (route) => {
    const answer = await route.fetch();
    late = (await answer.json()).status;
    await page.getByText('Success', { exact: true }).first().waitFor();
    await route.fulfill({ response: answer });
  });
  const answered = page.waitForResponse(`**/jobs/${job.id}:retry`);
  await keys.press(/^Retry/);
  await answered;
  assert.equal(late, 'pending');
  await page.getByText('Success', { exact: true }).first().waitFor();
  await wrong.waitFor({ state: 'hidden' });
  await page.getByText(`of ${world.late.images}`, { exact: true }).waitFor();
  assert.ok(await page.evaluate(() => globalThis.notReloaded), 'nobody had to load the page again');
  assert.equal((await ended(owner, job.id)).status, 'success');
}
