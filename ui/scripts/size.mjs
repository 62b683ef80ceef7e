// SPDX-License-Identifier: AGPL-3.0-or-later
// Tells what each page loads, gzipped, by the manifest of the build: the entry, the shell and the page itself. Fails if a
// page is larger than it may be. What is loaded later, such as menus and dialogs, is measured in the browser (e2e).

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const mostScript = 220;
const mostStyle = 25;

const manifest = JSON.parse(readFileSync('dist/.vite/manifest.json', 'utf8'));
const kilobytes = (file) => gzipSync(readFileSync(`dist/${file}`), { level: 9 }).length / 1000;

/** reached are the parts that one part loads at once, itself included. */
function reached(key, seen = new Set()) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const next of manifest[key].imports ?? []) reached(next, seen);
  return seen;
}

const sum = (files) => [...new Set(files)].reduce((all, file) => all + kilobytes(file), 0);
const pages = Object.keys(manifest).filter(
  (key) => manifest[key].isDynamicEntry && key.startsWith('src/pages/'),
);
let tooLarge = 0;
for (const page of pages.sort()) {
  const parts = [...reached('index.html'), ...reached(page)];
  const script = sum(parts.map((p) => manifest[p].file));
  const style = sum(parts.flatMap((p) => manifest[p].css ?? []));
  const over = script > mostScript || style > mostStyle;
  if (over) tooLarge++;
  const name = page.replace('src/pages/', '').replace('.tsx', '');
  console.log(
    `${name.padEnd(24)} ${script.toFixed(1).padStart(6)} KB of script, ${style.toFixed(1).padStart(5)} KB of CSS${over ? '  TOO LARGE' : ''}`,
  );
}
process.exit(tooLarge ? 1 : 0);
