// SPDX-License-Identifier: AGPL-3.0-or-later
// Every page in every state: nothing for axe, the console and the CSP to say, and no wider than the window.

import { overflow, settled, violations } from '../browser.mjs';
import { statesOf } from '../states.mjs';
import { madeJobs } from '../jobs.mjs';

const widths = [320, 390, 820, 1280, 1920];

export default async function ({ world, visit }) {
  const owner = await visit('researcher');
  const states = statesOf({
    jobs: await madeJobs(owner, world, visit),
    source: 'PACS-A',
    destination: 'RESEARCH',
  });
  // axe looks at each state at 1280, light and dark; at another width by turns.
  const turn = Math.floor(Date.now() / 86_400_000);
  const found = [];
  const people = new Map();
  const open = async (who, scheme) => {
    const key = `${who} ${scheme}`;
    if (!people.has(key)) people.set(key, await visit(who, { scheme }));
    return people.get(key);
  };
  for (const [i, state] of states.entries()) {
    for (const scheme of ['light', 'dark']) {
      const { page } = await open(state.who, scheme);
      const first = state.narrow ? 390 : 1280;
      await page.setViewportSize({ width: first, height: 800 });
      await page.goto(state.path);
      await settled(page);
      await state.do?.(page);
      await settled(page);
      const say = (width, what) => found.push(`${state.name}, ${width} px, ${scheme}: ${what}`);
      for (const v of await violations(page)) say(first, v);
      if (scheme === 'light') {
        for (const width of state.narrow ? [320, 390] : state.wide ? [1280, 1920] : widths) {
          await page.setViewportSize({ width, height: 800 });
          await settled(page);
          const wide = await overflow(page);
          if (wide) say(width, wide);
          if (width === widths[(turn + i) % widths.length]) {
            for (const v of await violations(page)) say(width, v);
          }
        }
      }
      await page.unrouteAll();
      await page.keyboard.press('Escape');
    }
  }
  if (found.length > 0) throw new Error(found.join('\n'));
}
