// SPDX-License-Identifier: AGPL-3.0-or-later
// WCAG contrast of all token pairs that are used together.
import { tokens } from '../src/theme-data.mjs';
const lin = (c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const L = (h) => {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(h.slice(i, i + 2), 16));
  return 0.2126 * lin(r) + 0.7152 * lin(g) + 0.0722 * lin(b);
};
export const C = (a, b) => {
  const [x, y] = [L(a), L(b)].sort((m, n) => n - m);
  return (x + 0.05) / (y + 0.05);
};
let bad = 0;
for (const [name, t] of Object.entries(tokens)) {
  const need = [];
  const st = [
    'unverified',
    'pending',
    'in_progress',
    'canceling',
    'canceled',
    'success',
    'warning',
    'failure',
  ];
  for (const f of ['text', 'dim', 'faint', 'primary'])
    for (const b of ['bg', 'surface', 'sunken', 'hover', 'selected', 'sub']) need.push([f, b, 4.5]);
  for (const s of st) {
    need.push(
      [s, s + '-bg', 4.5],
      [s, 'surface', 4.5],
      [s, 'bg', 4.5],
      [s, 'selected', 4.5],
      ['text', s + '-bg', 4.5],
    );
  }
  for (let i = 0; i < 6; i++) need.push([`cap-ink-${i}`, `cap-${i}`, 4.5]);
  need.push(['ctl', 'surface', 3], ['ctl', 'bg', 3], ['focus', 'surface', 3], ['focus', 'bg', 3]);
  for (const b of ['success', 'warning', 'failure', 'in_progress']) need.push(['bar-' + b, 'surface', 3]);
  const r = need.map(([f, b, n]) => [f, b, C(t[f], t[b]), n]);
  const low = r.filter((x) => x[2] < x[3]);
  bad += low.length;
  const min = (p) => Math.min(...r.filter(p).map((x) => x[2])).toFixed(2);
  console.log(
    name,
    'text',
    min((x) => x[0] === 'text'),
    'dim',
    min((x) => x[0] === 'dim'),
    'faint',
    min((x) => x[0] === 'faint'),
    'primary',
    min((x) => x[0] === 'primary'),
    'status',
    min((x) => st.includes(x[0])),
    'caps',
    min((x) => x[0].startsWith('cap')),
    'ctl',
    min((x) => x[0] === 'ctl'),
    'bars',
    min((x) => x[0].startsWith('bar')),
  );
  for (const x of low) console.log('  LOW', x[0], 'on', x[1], x[2].toFixed(2), '<', x[3]);
}
console.log(
  'white on petrol 7 and 6',
  C('#ffffff', '#0b6b78').toFixed(2),
  C('#ffffff', '#14808d').toFixed(2),
);
process.exit(bad ? 1 : 0);
