// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import type { Check, ServerSettings, Suggestion } from '../api';
import { findings, linesOf, merged, settingsOf, stores, usable, wrong } from './check';

const pacs: ServerSettings = {
  name: 'PACS-A',
  ae_title: 'PACS_A',
  host: '10.20.0.11',
  port: 104,
  supports: {},
};
const suggestion = (setting: string, suggested: unknown): Suggestion => ({
  setting,
  suggested,
  now: null,
  why: '',
});
const check = (name: string, ok = true, detail = 'Seen.'): Check => ({ name, ok, detail });

function streamOf(...parts: string[]): ReadableStream<Uint8Array> {
  const bytes = parts.map((p) => new TextEncoder().encode(p));
  return new ReadableStream({
    pull(to) {
      const next = bytes.shift();
      if (next) to.enqueue(next);
      else to.close();
    },
  });
}

test('lines are read however they were cut', async () => {
  const got: unknown[] = [];
  for await (const line of linesOf(streamOf('{"a"', ':1}\n{"a":2}\n', '\n{"a":"ü"}'))) got.push(line);
  expect(got).toEqual([{ a: 1 }, { a: 2 }, { a: 'ü' }]);
});

test('a letter of two bytes may be cut in its midst', async () => {
  const whole = new TextEncoder().encode('"ü"\n');
  const cut = new ReadableStream<Uint8Array>({
    start(to) {
      to.enqueue(whole.slice(0, 2));
      to.enqueue(whole.slice(2));
      to.close();
    },
  });
  for await (const line of linesOf<string>(cut)) expect(line).toBe('ü');
});

test('suggestions go into the settings by their path, and leave the rest as it is', () => {
  const before = structuredClone(pacs);
  const after = merged(pacs, [
    suggestion('supports.study_root_find', true),
    suggestion('retrieve.move_originator', true),
    suggestion('result_limit', 100),
    suggestion('retrieve.address_ranges', ['192.0.2.7/32']),
  ]);
  expect(after).toEqual({
    ...pacs,
    supports: { study_root_find: true },
    retrieve: { move_originator: true },
    result_limit: 100,
  });
  expect(pacs).toEqual(before);
  expect(usable(pacs)).toBe(false);
  expect(usable(after)).toBe(true);
});

test('what was found: services in one line, a C-MOVE that fails says that C-GET is enough', () => {
  const checks = [
    check('association'),
    check('find (study root)'),
    check('get (study root)'),
    check('move (study root)'),
    check('get'),
    check('move', false, 'Not known there (status A801).'),
    check('something new'),
  ];
  expect(findings(checks)).toEqual([
    { key: 'association', ok: true, title: 'Connection', says: 'Seen.' },
    { key: 'services', ok: true, title: 'Services', says: 'It offers search (C-FIND), C-GET and C-MOVE.' },
    { key: 'get', ok: true, title: 'C-GET', says: 'Seen.' },
    {
      key: 'move',
      ok: false,
      title: 'C-MOVE',
      says: 'Not known there (status A801). C-GET works, so you can begin without.',
    },
    { key: 'something new', ok: true, title: 'something new', says: 'Seen.' },
  ]);
  expect(stores(checks)).toBe(false);
  expect(stores([check('store')])).toBe(true);
});

const typed = { name: 'PACS-A', ae_title: 'PACS_A', host: 'pacs.example.org', port: '104' };

test.each([
  ['pacs.example.org', true],
  ['PACS_1', true],
  ['10.20.0.11', true],
  ['2001:db8::1', true],
  ['10.20.0.256', false],
  ['10.20.0', false],
  ['http://pacs', false],
  ['pacs:104', false],
  ['a b', false],
  ['-pacs', false],
])('the host %s is plausible: %s', (host, plausible) => {
  expect(wrong({ ...typed, host }).host === undefined).toBe(plausible);
});

test.each([
  ['1', true],
  ['65535', true],
  ['0', false],
  ['65536', false],
  ['1e3', false],
  ['-1', false],
])('the port %s is plausible: %s', (port, plausible) => {
  expect(wrong({ ...typed, port }).port === undefined).toBe(plausible);
});

test('an AE title has 16 characters at most, and no backslash', () => {
  expect(wrong({ ...typed, ae_title: 'A'.repeat(16) })).toEqual({});
  expect(wrong({ ...typed, ae_title: 'A'.repeat(17) }).ae_title).toContain('16');
  expect(wrong({ ...typed, ae_title: 'A\\B' }).ae_title).toBeTruthy();
  expect(wrong({ ...typed, ae_title: 'KÖLN' }).ae_title).toBeTruthy();
});

test('a check needs all four values', () => {
  expect(settingsOf({ ...typed, host: ' pacs ' })).toEqual({
    name: 'PACS-A',
    ae_title: 'PACS_A',
    host: 'pacs',
    port: 104,
    supports: {},
  });
  expect(settingsOf({ ...typed, host: '' })).toBeNull();
  expect(settingsOf({ ...typed, port: 'x' })).toBeNull();
});
