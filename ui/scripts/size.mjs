// SPDX-License-Identifier: AGPL-3.0-or-later
// Sum of gzipped script that index.html and the first page load, by the manifest.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
const m = JSON.parse(readFileSync('dist/.vite/manifest.json'));
const kb = (f) => gzipSync(readFileSync('dist/' + f), { level: 9 }).length / 1024;
const walk = (k, s = new Set()) => {
  if (s.has(k)) return s;
  s.add(k);
  (m[k].imports || []).forEach((i) => walk(i, s));
  return s;
};
const entry = walk('index.html');
const css = new Set([...entry].flatMap((k) => m[k].css || []));
const js = (ks) => [...ks].reduce((a, k) => a + kb(m[k].file), 0);
console.log(
  'entry js',
  js(entry).toFixed(1),
  'KB gz; css',
  [...css].reduce((a, f) => a + kb(f), 0).toFixed(1),
);
for (const k of entry) console.log('   ', m[k].file, kb(m[k].file).toFixed(1));
for (const k of Object.keys(m).filter((k) => m[k].isDynamicEntry)) {
  const w = [...walk(k)].filter((x) => !entry.has(x));
  console.log(
    k.padEnd(30),
    '+',
    js(w).toFixed(1),
    'KB js',
    '+',
    w
      .flatMap((x) => m[x].css || [])
      .reduce((a, f) => a + kb(f), 0)
      .toFixed(1),
    'KB css',
  );
}
