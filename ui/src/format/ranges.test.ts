// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { daysOf, presets, rangeFaults, rangeWords } from './ranges';

test('ranges that move with today', () => {
  const now = new Date(2026, 2, 3, 0, 30);
  expect(Object.fromEntries(presets.map((preset) => [preset, daysOf({ preset }, now)]))).toEqual({
    today: { from: '2026-03-03', until: '2026-03-03' },
    yesterday: { from: '2026-03-02', until: '2026-03-02' },
    7: { from: '2026-02-25', until: '2026-03-03' },
    30: { from: '2026-02-02', until: '2026-03-03' },
    year: { from: '2026-01-01', until: '2026-03-03' },
    any: {},
  });
});

test('over the change of the clock', () => {
  expect(daysOf({ preset: '7' }, new Date(2026, 2, 30, 0, 10)).from).toBe('2026-03-24');
});

test('ranges that are typed', () => {
  expect(daysOf({ from: '1.2.2026', until: '2026-02-28' })).toEqual({
    from: '2026-02-01',
    until: '2026-02-28',
  });
  expect(daysOf({ from: '', until: '20260228' })).toEqual({ from: undefined, until: '2026-02-28' });
});

test('faults', () => {
  expect(rangeFaults({ preset: 'any' })).toEqual({});
  expect(rangeFaults({ from: '', until: '' })).toEqual({});
  expect(Object.keys(rangeFaults({ from: '31.02.2026', until: 'soon' }))).toEqual(['from', 'until']);
  expect(rangeFaults({ from: '2026-03-01', until: '2026-02-01' })).toEqual({
    until: 'This is before the first day.',
  });
});

test('words', () => {
  expect(
    [
      { preset: '30' as const },
      { from: '2026-02-01', until: '' },
      { from: '', until: '2026-02-01' },
      { from: '1.2.2026', until: '2026-02-01' },
      { from: '1.2.2026', until: '2026-02-03' },
      { from: '', until: '' },
    ].map(rangeWords),
  ).toEqual([
    'Last 30 days',
    'Since 2026-02-01',
    'Until 2026-02-01',
    '2026-02-01',
    '2026-02-01 – 2026-02-03',
    'Any time',
  ]);
});
