// SPDX-License-Identifier: AGPL-3.0-or-later
// Takes pictures of all pages of a demo in all their states (`make screenshots`): node e2e/pictures.mjs FOLDER.

import { settled, startBrowser, Watched } from './browser.mjs';
import { ended, newDryRun, newQuery, newRecurrence } from './jobs.mjs';
import { statesOf } from './states.mjs';

const folder = process.argv[2];
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
await admin.context.close();
const states = statesOf({
  jobs: { success: 3, failure: 5, waiting: 6, query: query.id, mass: dry.id },
  source: 'PACS-A',
  destination: 'RESEARCH',
});
let missing = 0;
for (const [width, height] of sizes) {
  for (const scheme of ['light', 'dark']) {
    const open = async (known) => {
      const watched = await Watched.open(browser, url, { width, height, scheme });
      watched.context.setDefaultTimeout(10_000);
      if (known) await watched.logIn('admin', password);
      return watched.page;
    };
    const known = await open(true);
    const nobody = await open(false);
    // In the demo there is nobody but the administrator.
    const shown = states.filter((s) => s.who === null || ['admin', 'researcher', 'manager'].includes(s.who));
    for (const state of shown.filter((s) => (width < 820 ? !s.wide : !s.narrow))) {
      const page = state.who === null ? nobody : known;
      const file = `${folder}/${state.name}-${scheme}-${width}.png`;
      try {
        await page.goto(state.path);
        await settled(page);
        await state.do?.(page);
        await settled(page);
        await page.screenshot({ path: file, fullPage: true });
      } catch (error) {
        missing++;
        console.error(`${file}: ${String(error.message).split('\n')[0]}`);
      }
      await page.unrouteAll();
    }
    await known.context().close();
    await nobody.context().close();
  }
}
await browser.close();
process.exit(missing > 0 ? 1 : 0);
