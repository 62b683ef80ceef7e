// SPDX-License-Identifier: AGPL-3.0-or-later
// Runs one of the flows against the ADIT that ADIT_WORLD describes (test/browser starts it): node e2e/run.mjs NAME.

import { createInterface } from 'node:readline';

import { startBrowser, Watched } from './browser.mjs';
import { Keys, noMouse } from './keyboard.mjs';

const [name] = process.argv.slice(2);
const world = JSON.parse(process.env.ADIT_WORLD ?? 'null');
if (!name || !world) {
  console.error('usage: ADIT_WORLD=JSON node e2e/run.mjs NAME');
  process.exit(2);
}
const { default: flow } = await import(`./flows/${name}.mjs`);
const browser = await startBrowser();
const opened = [];
/**
 * visit opens a browser of its own for somebody, who is logged in unless no name is given. Without a mouse, a touch of a
 * pointer is a fault.
 */
const visit = async (username, options = {}) => {
  const watched = await Watched.open(browser, world.url, { secrets: world.secrets, ...options });
  watched.context.setDefaultTimeout(30_000);
  opened.push(watched);
  watched.keys = new Keys(watched.page);
  if (options.mouse === false) await noMouse(watched.page);
  if (username) await watched.logIn(username, world.password);
  return watched;
};
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/** wish has the test do what a browser can't: kill, start. */
const wish = async (what) => {
  console.log(`@${what}`);
  await answers.next();
};
const started = performance.now();
try {
  await flow({ world, visit, wish, browser });
  for (const watched of opened) {
    for (const page of watched.context.pages().filter((p) => p.url() !== 'about:blank'))
      await watched.checkStored(page);
    watched.done();
  }
  console.log(`${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
} catch (error) {
  console.error(error);
  for (const [i, watched] of opened.entries()) {
    console.error(`--- page ${i}: ${watched.page.url()}\n${watched.faults.join('\n')}`);
    console.error(
      await watched.page
        .locator('body')
        .innerText({ timeout: 2000 })
        .catch(() => ''),
    );
  }
  process.exitCode = 1;
} finally {
  await browser.close();
  process.exit();
}
