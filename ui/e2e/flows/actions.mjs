// SPDX-License-Identifier: AGPL-3.0-or-later
// What people do to a job: pause, continue, cancel, resume; a failure, its reason, and its cure.

import { call, close, newJob, open } from '../jobs.mjs';

export default async function ({ world, visit }) {
  const manager = await visit('manager');
  await close(manager);
  const owner = await visit('researcher');
  const { page } = owner;
  const job = await newJob(
    owner,
    world.studies.slice(0, 2).map((s) => ({ study_instance_uid: s.uid })),
  );
  const status = (word) => page.getByText(word, { exact: true }).first().waitFor();

  await page.goto(`/jobs/${job.id}`);
  await page.getByRole('button', { name: 'Pause' }).click();
  await status('Pending · paused');
  await page.getByRole('button', { name: 'Continue' }).click();
  await status('Pending');
  const cancel = async () => {
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: /^Cancel/ }).click();
  };
  await cancel();
  await page.getByRole('dialog').getByRole('button', { name: /^Keep/ }).click();
  await status('Pending');
  await page.locator('button:focus', { hasText: 'More' }).waitFor(); // the focus is back where it was
  await cancel();
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Cancel job/ })
    .click();
  await status('Canceled');
  await page.getByRole('button', { name: 'Resume' }).click();
  await status('Pending');
  await open(manager);
  await status('Success');

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
  await wrong
    .getByRole('button', { name: /^Download/ })
    .or(wrong.getByRole('link', { name: /^Download/ }))
    .click();
  await download;
  await call(manager, 'POST', `/servers/PACS-A:pause`);
  await page.goto('/jobs');
  await page.getByText(String(failed.id), { exact: true }).first().waitFor();
}
