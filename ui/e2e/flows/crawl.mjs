// SPDX-License-Identifier: AGPL-3.0-or-later
// Every page in every state: nothing for axe, the console and the CSP to say, and no wider than the window.

import { drawn, overflow, settled, violations } from '../browser.mjs';
import { madeJobs } from '../jobs.mjs';
import { statesOf } from '../states.mjs';

const widths = [320, 390, 820, 1280, 1920];

export default async function ({ world, visit }) {
  const owner = await visit('researcher');
  const states = statesOf({
    jobs: await madeJobs(owner, world, visit),
    source: 'PACS-A',
    destination: 'RESEARCH',
  });
  const turn = Math.floor(Date.now() / 86_400_000); // of the day: by it axe looks at some states at another width, too
  let faults = 0;
  const people = new Map();
  for (const [i, state] of states.entries()) {
    if (!people.has(state.who)) people.set(state.who, await visit(state.who));
    const { page } = people.get(state.who);
    const say = (width, scheme, what) => {
      faults++;
      console.error(`${state.name}, ${width} px, ${scheme}: ${what}`);
    };
    const first = state.narrow ? 390 : 1280;
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: first, height: 800 });
    await page.goto(state.path);
    await settled(page);
    await state.do?.(page);
    await drawn(page);
    for (const v of await violations(page)) say(first, 'light', v);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.locator('html[data-mantine-color-scheme=dark]').waitFor();
    await settled(page); // colours take a moment to change
    await drawn(page);
    await drawn(page); // transitions have ended
    for (const v of await violations(page, ['color-contrast'])) say(first, 'dark', v);
    for (const width of state.narrow ? [320, 390] : state.wide ? [1280, 1920] : widths) {
      await page.setViewportSize({ width, height: 800 });
      const wide = await overflow(page);
      if (wide) say(width, 'dark', wide);
      if ((turn + i) % 15 === widths.indexOf(width))
        for (const v of await violations(page)) say(width, 'dark', v);
    }
    await page.unrouteAll();
  }
  console.log(`${states.length} states`);
  if (faults > 0) throw new Error(`${faults} faults`);
}
