// SPDX-License-Identifier: AGPL-3.0-or-later
import { writeFileSync } from 'node:fs';
import { DEFAULT_THEME, mergeMantineTheme, createTheme, defaultCssVariablesResolver } from '@mantine/core';
import { themeData, tokens } from '../src/theme-data.mjs';
const r = defaultCssVariablesResolver(mergeMantineTheme(DEFAULT_THEME, createTheme(themeData)));
const d = defaultCssVariablesResolver(DEFAULT_THEME); // styles.css has these already
const diff = (a, b) => Object.entries(a).filter(([k, v]) => b[k] !== v);
const own = (t) => Object.entries(t).map(([k, v]) => [`--adit-${k}`, v]);
const map = () => [
  ['--mantine-color-body', 'var(--adit-surface)'],
  ['--mantine-color-text', 'var(--adit-text)'],
  ['--mantine-color-dimmed', 'var(--adit-dim)'],
  ['--mantine-color-placeholder', 'var(--adit-faint)'],
  ['--mantine-color-anchor', 'var(--adit-primary)'],
  ['--mantine-color-error', 'var(--adit-failure)'],
  ['--mantine-color-success', 'var(--adit-success)'],
  ['--mantine-color-default', 'var(--adit-surface)'],
  ['--mantine-color-default-hover', 'var(--adit-hover)'],
  ['--mantine-color-default-color', 'var(--adit-text)'],
  ['--mantine-color-default-border', 'var(--adit-line-strong)'],
  ['--mantine-color-bright', 'var(--adit-text)'],
  ['--mantine-color-disabled', 'var(--adit-sunken)'],
  ['--mantine-color-disabled-color', 'var(--adit-faint)'],
  ['--mantine-color-disabled-border', 'var(--adit-line)'],
  ['--mantine-color-petrol-light-color', 'var(--adit-primary)'],
  ['--mantine-color-petrol-outline', 'var(--adit-primary)'],
];
const block = (sel, rows) => `${sel} {\n${rows.map(([k, v]) => `  ${k}: ${v};`).join('\n')}\n}\n`;
const css =
  '/* made by scripts/theme-css.mjs of src/theme-data.mjs; do not edit */\n' +
  block(':root', diff(r.variables, d.variables)) +
  block(":root[data-mantine-color-scheme='light']", [
    ...diff(r.light, d.light),
    ...map(),
    ...own(tokens.light),
  ]) +
  block(":root[data-mantine-color-scheme='dark']", [...diff(r.dark, d.dark), ...map(), ...own(tokens.dark)]);
writeFileSync(new URL('../src/theme.gen.css', import.meta.url), css);
console.log('theme.gen.css', css.length, 'bytes');
