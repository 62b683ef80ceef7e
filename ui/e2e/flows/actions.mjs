// SPDX-License-Identifier: AGPL-3.0-or-later
// What people do to a job, by the keyboard: pause, continue, cancel, resume; a failure and its reason; trying again.

import assert from 'node:assert/strict';

import { close, newJob, open } from '../jobs.mjs';

export default async function ({ world, visit }) {
  const manager = await visit('manager');
  await close(manager);
  const owner = await visit('researcher', { mouse: false });
  const { page, keys } = owner;
  const job = await newJob(
    owner,
    world.studies.slice(0, 2).map((s) => ({ study_instance_uid: s.uid })),
  );
  const status = (word) => page.getByText(word, { exact: true }).first().waitFor();

  await page.goto('/jobs');
  await keys.type(/^Go to a job by its number/, `${job.id}`);
  await page.keyboard.press('Enter');
  await page.waitForURL(`/jobs/${job.id}`);
  await keys.press(/^Pause/);
  await status('Pending · paused');
  let answer = () => undefined;
  const held = new Promise((done) => (answer = done));
  await page.route(`**/jobs/${job.id}:continue`, async (route) => {
    const response = await route.fetch();
    await held;
    await route.fulfill({ response });
  });
  await keys.press(/^Continue/);
  await status('Pending');
  // A menu gives the focus back, and so does a question; even if it is asked before what was done last is answered.
  await keys.press(/^More/);
  await page.getByRole('menuitem', { name: /^Cancel/ }).waitFor();
  await page.locator('[role=menu]:focus-within').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('button:focus', { hasText: 'More' }).waitFor();
  for (const no of ['Escape', 'Enter']) {
    await keys.item(/^More/, /^Cancel/);
    await page.locator('[role=dialog] button:focus', { hasText: /^Keep/ }).waitFor();
    if (no === 'Escape') {
      const answered = page.waitForResponse(`**/jobs/${job.id}:continue`);
      answer();
      await answered;
    }
    await page.keyboard.press(no);
    await keys.back(/^More/);
  }
  await status('Pending');
  await keys.item(/^More/, /^Cancel/);
  await page.locator('[role=dialog] button:focus').waitFor();
  await keys.press(/^Cancel job/);
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await status('Canceled');
  await keys.press(/^Resume/);
  await status('Pending');
  // What is asked about ends meanwhile, and with it the button that the question came from.
  await keys.item(/^More/, /^Cancel/);
  await page.locator('[role=dialog] button:focus').waitFor();
  await open(manager);
  await status('Success');
  await page.keyboard.press('Escape');
  await page.locator('h1:focus').waitFor();

  // The destination is away in a way that counts: the study is not at the source. Then it is.
  const failed = await newJob(owner, [{ study_instance_uid: '1.2.826.0.1.3680043.8.498.404' }]);
  await page.goto(`/jobs/${failed.id}`);
  await status('Failure');
  const wrong = page.getByRole('region', { name: /What went wrong/ });
  await wrong
    .getByText(/PACS-A/)
    .first()
    .waitFor();
  const download = page.waitForEvent('download');
  await keys.press(/^Download/);
  await download;
  const again = page.waitForResponse((r) => r.url().endsWith(`/jobs/${failed.id}:retry`));
  await keys.press(/^Retry/);
  assert.ok((await again).ok());
  await status('Failure');
}
