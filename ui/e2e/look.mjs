// SPDX-License-Identifier: AGPL-3.0-or-later
// Takes a picture of a page of a running ADIT, and tells what axe, the console and the width have to say.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { overflow, settled, startBrowser, violations, Watched } from './browser.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8080' },
    user: { type: 'string', default: 'admin' },
    password: { type: 'string', default: process.env.ADIT_PASSWORD ?? '' },
    width: { type: 'string', default: '1280' },
    height: { type: 'string', default: '800' },
    scheme: { type: 'string', default: 'light' },
    out: { type: 'string', default: 'page.png' },
    do: { type: 'string' },
    full: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help || positionals.length !== 1) {
  console.log(`node e2e/look.mjs PATH [--url URL] [--user NAME --password PASSWORD] [--width 390] [--height 844]
  [--scheme dark] [--full] [--out FILE.png] [--do FILE.mjs]
--do: a module whose default export is async (page) => …, run before the picture is taken.
--full: the whole page, not only what the window shows. Without --password nobody logs in.`);
  process.exit(values.help ? 0 : 2);
}
const browser = await startBrowser();
const watched = await Watched.open(browser, values.url, {
  width: Number(values.width),
  height: Number(values.height),
  scheme: values.scheme,
});
if (values.password) await watched.logIn(values.user, values.password);
await watched.page.goto(positionals[0]);
await settled(watched.page);
if (values.do) {
  readFileSync(values.do); // a clear error if it is not there
  const { default: act } = await import(new URL(values.do, `file://${process.cwd()}/`).href);
  await act(watched.page);
  await settled(watched.page);
}
await watched.page.screenshot({ path: values.out, fullPage: values.full });
for (const line of [...(await violations(watched.page)), await overflow(watched.page), ...watched.faults]) {
  if (line) console.log(line);
}
await browser.close();
