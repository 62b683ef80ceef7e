// SPDX-License-Identifier: AGPL-3.0-or-later
// A job waits for the window of its source: the page says why and until when, and that it starts by itself.

import { close, newJob, open } from '../jobs.mjs';

export default async function ({ world, visit }) {
  const manager = await visit('manager');
  const opens = await close(manager);
  const { page, ...owner } = await visit('researcher', { mouse: false });
  const job = await newJob({ page, ...owner }, [{ study_instance_uid: world.studies[1].uid }]);
  await page.goto(`/jobs/${job.id}`);
  const why = page.getByText(/PACS-A is closed for jobs/).first();
  await why.waitFor();
  await page.getByText(opens).first().waitFor();
  await open(manager);
  await page.getByText('Success', { exact: true }).first().waitFor();
  await why.waitFor({ state: 'hidden' });
}
