// SPDX-License-Identifier: AGPL-3.0-or-later
// Takes pictures of all pages of a demo in all their states (`make screenshots`): node e2e/pictures.mjs FOLDER [ONLY].
// ONLY is a regular expression: of states whose name it does not match no picture is taken.

import { drawn, settled, startBrowser, Watched } from './browser.mjs';
import { call, ended, newDryRun, newQuery, newRecurrence, slowJob } from './jobs.mjs';
import { statesOf } from './states.mjs';

const [folder, only = ''] = process.argv.slice(2);
const { url, password } = JSON.parse(process.env.ADIT_WORLD ?? '{}');
const sizes = [
  [390, 844],
  [1280, 800],
  [1920, 1080],
];
const browser = await startBrowser();
const admin = await Watched.open(browser, url);
await admin.logIn('admin', password);
const patients = Array.from({ length: 30 }, (_, i) => `PHANTOM-${String(i + 1).padStart(3, '0')},"CT, MR"`);
const query = await ended(admin, (await newQuery(admin, ['PatientID,Modality', ...patients])).id);
const today = new Date().toISOString().slice(0, 10);
const dry = await newDryRun(
  admin,
  `${Number(today.slice(0, 4)) - 1}${today.slice(4).replace('02-29', '02-28')}`,
  today,
  {
    modality: 'CT',
  },
);
await ended(admin, dry.id);
await newRecurrence(admin, today);
const slow = await slowJob(admin);
const failed = await call(admin, 'GET', '/jobs/5/tasks?status=failure');
await admin.context.close();
const states = statesOf({
  jobs: {
    success: 3,
    failure: 5,
    failedTask: failed.items[0].seq,
    waiting: 6,
    query: query.id,
    mass: dry.id,
  },
  source: 'PACS-A',
  destination: 'RESEARCH',
}).filter((s) => new RegExp(only).test(s.name));
let missing = 0;

/** tall makes the window as high as the page, so that what sticks to its lower edge covers nothing. */
async function tall(page, height) {
  if ((await page.getByRole('dialog').count()) > 0) return;
  const needed = await page.evaluate(() => document.documentElement.scrollHeight);
  if (needed <= height) return;
  await page.setViewportSize({ width: page.viewportSize().width, height: Math.min(needed, 4000) });
  await drawn(page);
}

for (const [width, height] of sizes) {
  for (const scheme of ['light', 'dark']) {
    const open = async (known) => {
      const watched = await Watched.open(browser, url, { width, height, scheme, phone: width < 820 });
      watched.context.setDefaultTimeout(10_000);
      if (known) await watched.logIn('admin', password);
      return watched.page;
    };
    const known = await open(true);
    // How fast a job goes is drawn from what its page has seen: it is opened first, and looked at last.
    const running = await known.context().newPage();
    await running.goto(`/jobs/${slow.id}`);
    const nobody = await open(false);
    // In the demo there is nobody but the administrator.
    const shown = states.filter((s) => s.who === null || ['admin', 'researcher', 'manager'].includes(s.who));
    for (const state of shown.filter((s) => (width < 820 ? !s.wide : !s.narrow))) {
      const page = state.who === null ? nobody : known;
      const file = `${folder}/${state.name}-${scheme}-${width}.png`;
      try {
        await page.setViewportSize({ width, height });
        await page.goto(state.path);
        await settled(page);
        await state.do?.(page);
        await page.waitForLoadState('networkidle'); // events of the socket have come, too
        await settled(page);
        await tall(page, height);
        await page.screenshot({ path: file });
      } catch (error) {
        missing++;
        console.error(`${file}: ${String(error.message).split('\n')[0]}`);
      }
      await page.unrouteAll();
    }
    if (new RegExp(only).test('job-running')) {
      await running.bringToFront();
      await tall(running, height);
      await running.screenshot({ path: `${folder}/job-running-${scheme}-${width}.png` });
    }
    await known.context().close();
    await nobody.context().close();
  }
}
await browser.close();
process.exit(missing > 0 ? 1 : 0);
