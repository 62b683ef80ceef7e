// SPDX-License-Identifier: AGPL-3.0-or-later
// Writes src/theme.gen.css from src/theme-data.mjs: what Mantine would write into a <style> element at run time, which
// the server's CSP forbids, without the colours that ADIT has no use for.

import { writeFileSync } from 'node:fs';

import { createTheme, DEFAULT_THEME, defaultCssVariablesResolver, mergeMantineTheme } from '@mantine/core';

import { themeData, tokens } from '../src/theme-data.mjs';

const resolved = defaultCssVariablesResolver(mergeMantineTheme(DEFAULT_THEME, createTheme(themeData)));
const unused = Object.keys(DEFAULT_THEME.colors).filter((color) => !(color in themeData.colors));
const used = (variables) =>
  Object.entries(variables).filter(([name]) => !unused.some((c) => name.startsWith(`--mantine-color-${c}-`)));

const own = (scheme) => Object.entries(tokens[scheme]).map(([name, value]) => [`--adit-${name}`, value]);

// Mantine's names for our tokens.
const mapped = Object.entries({
  body: 'surface',
  text: 'text',
  dimmed: 'dim',
  placeholder: 'faint',
  anchor: 'primary',
  error: 'failure',
  success: 'success',
  default: 'surface',
  'default-hover': 'hover',
  'default-color': 'text',
  'default-border': 'line-strong',
  bright: 'text',
  disabled: 'sunken',
  'disabled-color': 'faint',
  'disabled-border': 'line',
  'petrol-light-color': 'primary',
  'petrol-outline': 'primary',
}).map(([name, token]) => [`--mantine-color-${name}`, `var(--adit-${token})`]);

const block = (selector, rows) =>
  `${selector} {\n${rows.map(([name, value]) => `  ${name}: ${value};`).join('\n')}\n}\n`;
const scheme = (name) => `:root[data-mantine-color-scheme='${name}']`;

const css =
  '/* made by scripts/theme-css.mjs from src/theme-data.mjs; do not edit */\n' +
  block(':root', used(resolved.variables)) +
  block(scheme('light'), [...used(resolved.light), ...mapped, ...own('light')]) +
  block(scheme('dark'), [...used(resolved.dark), ...mapped, ...own('dark')]);
writeFileSync(new URL('../src/theme.gen.css', import.meta.url), css);
