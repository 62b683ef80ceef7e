// SPDX-License-Identifier: AGPL-3.0-or-later
// A job of 50,000 tasks, 160 jobs and a study of 2,000 series: few rows in the page, and smooth to scroll.

import assert from 'node:assert/strict';

import { call, close, newJob } from '../jobs.mjs';

const mostRows = 120;

/** scrolled scrolls an element to its end in steps, a frame each, and tells the median time of a frame and the most rows. */
function scrolled(locator, rows) {
  return locator.evaluate(async (element, selector) => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const times = [];
    let most = 0;
    const step = (element.scrollHeight - element.clientHeight) / 120;
    for (let i = 1; i <= 120; i++) {
      const before = await frame();
      element.scrollTop = i * step;
      times.push((await frame()) - before);
      most = Math.max(most, element.querySelectorAll(selector).length);
    }
    times.sort((a, b) => a - b);
    return { median: times[60], most };
  }, rows);
}

/** toEnd scrolls until the end is the end: heights are known only once rows are drawn. */
async function toEnd(page, locator, last) {
  while ((await last.count()) === 0) {
    await locator.evaluate((element) => (element.scrollTop = element.scrollHeight));
    await page.waitForTimeout(100); // ends by the time-out of the test
  }
}

export default async function ({ visit }) {
  const manager = await visit('manager');
  await close(manager);
  const owner = await visit('manager');
  const studies = Array.from({ length: 50_000 }, (_, i) => ({
    study_instance_uid: `1.2.826.0.1.3680043.8.498.${i + 1}`,
    patient_id: `MANY-${i + 1}`,
  }));
  const job = await call(owner, 'POST', '/jobs', {
    kind: 'selective_transfer',
    source: 'PACS-A',
    destination: 'RESEARCH',
    studies,
  });
  const { page } = owner;
  await page.goto(`/jobs/${job.id}`);
  await page.getByText('50,000').first().waitFor();
  const tasks = page.getByRole('table', { name: 'Tasks' });
  await tasks.getByRole('row').nth(1).waitFor();
  const byTask = await scrolled(tasks.getByRole('rowgroup').nth(1), '[role=row]');
  await toEnd(page, tasks.getByRole('rowgroup').nth(1), tasks.getByText('MANY-50000'));
  console.log(`50,000 tasks: ${byTask.most} rows at most, median frame ${byTask.median.toFixed(1)} ms`);
  assert.ok(byTask.most <= mostRows, `${byTask.most} rows`);

  for (let i = 0; i < 160; i++)
    await newJob(owner, [{ study_instance_uid: `1.2.826.0.1.3680043.8.499.${i}` }]);
  await page.goto('/jobs');
  const jobs = page.locator('main tbody:not([aria-hidden]) tr');
  for (let n = 50; n <= 100; n += 50) {
    await jobs.nth(n - 1).waitFor();
    await page.getByRole('button', { name: 'Load older jobs' }).click();
  }
  const oldest = page.getByRole('link', { name: String(job.id + 11), exact: true });
  await toEnd(page, page.locator('html'), oldest);
  console.log(`150 jobs: ${await jobs.count()} rows`);
  assert.ok((await jobs.count()) < 100, `${await jobs.count()} rows`);

  await page.goto('/selective-transfer?source=MANY&destination=RESEARCH');
  await page.getByLabel('Patient ID').fill('PHANTOM-200');
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByRole('button', { name: 'Show series' }).click();
  await page.getByText('Map 1', { exact: true }).waitFor();
  const grid = page.getByRole('treegrid');
  const box = grid.locator('xpath=ancestor-or-self::*[contains(@class, "scroll")]').first();
  const bySeries = await scrolled(box, '[role=row]');
  await toEnd(page, box, page.getByText('Map 2000', { exact: true }));
  console.log(`2,000 series: ${bySeries.most} rows at most, median frame ${bySeries.median.toFixed(1)} ms`);
  assert.ok(bySeries.most <= mostRows, `${bySeries.most} rows`);
}
