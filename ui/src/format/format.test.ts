// SPDX-License-Identifier: AGPL-3.0-or-later

import { afterEach, describe, expect, test } from 'vitest';

import { date, name, readDate, shortUID, shortUIDs, time } from './dicom';
import { bytes, count, counted, perSecond } from './numbers';
import { day, lasting, ready, setDateFormat, took, when } from './times';

afterEach(() => setDateFormat('auto'));

test('numbers', () => {
  expect(count(148220)).toBe('148,220');
  expect(counted(1, 'study', 'studies')).toBe('1 study');
  expect(counted(2, 'image')).toBe('2 images');
  expect([0, 999, 1000, 74_249_000_000, 999_949_999, 999_960_000].map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1 KB',
    '74.2 GB',
    '1 GB',
    '1 GB',
  ]);
  expect([0.04, 1.26, 9.96, 61.4].map(perSecond)).toEqual(['0', '1.3', '10', '61']);
});

describe('times', () => {
  const now = new Date(2026, 10, 12, 21, 5);
  test('when', () => {
    expect(when(new Date(2026, 10, 12, 16, 31), now)).toBe('today 16:31');
    expect(when(new Date(2026, 10, 11, 0, 44), now)).toBe('yesterday 00:44');
    expect(when(new Date(2026, 10, 13, 6, 0), now)).toBe('tomorrow 06:00');
    expect(when(new Date(2026, 10, 10, 9, 0), now)).toBe('2026-11-10 09:00');
  });
  test('over the change of the clock', () => {
    expect(when(new Date(2026, 9, 24, 12), new Date(2026, 9, 25, 12))).toBe('yesterday 12:00');
  });
  test('lasting', () => {
    expect([400, 59_000, 90_000, 3_600_000, 7_500_000, 93_600_000].map(lasting)).toEqual([
      '0 s',
      '59 s',
      '2 min',
      '1 h',
      '2 h 5 min',
      '1 day 2 h',
    ]);
  });
  test('took', () => {
    expect([0, 999, 1000, 59_000].map(took)).toEqual(['< 1 s', '< 1 s', '1 s', '59 s']);
  });
  test('ready', () => {
    expect(ready(new Date(2026, 10, 12, 21, 5, 30), now)).toBe('in about 1 min');
    expect(ready(new Date(2026, 10, 12, 21, 25), now)).toBe('in about 20 min');
    expect(ready(new Date(2026, 10, 12, 23, 10), now)).toBe('about 23:10');
    expect(ready(new Date(2026, 10, 13, 6, 30), now)).toBe('about tomorrow 06:30');
  });
  test('as somebody likes dates', () => {
    setDateFormat('DD.MM.YYYY');
    expect(day(now)).toBe('12.11.2026');
    expect(date('19610402')).toBe('02.04.1961');
  });
});

describe('values of DICOM', () => {
  test('names', () => {
    expect(name('Phantom^Alpha')).toEqual({ text: 'Phantom, Alpha', ideographic: '' });
    expect(name('Phantom^Delta^^Dr.=幻影^德尔塔')).toEqual({
      text: 'Phantom, Dr. Delta',
      ideographic: '幻影, 德尔塔',
    });
    expect(name('=幻影')).toEqual({ text: '幻影', ideographic: '' });
    expect(name('')).toEqual({ text: '', ideographic: '' });
  });
  test('dates and times', () => {
    expect([date('19610402'), date('1961'), time('094200.123'), time('')]).toEqual([
      '1961-04-02',
      '1961',
      '09:42',
      '',
    ]);
  });
  test('long UIDs keep their end', () => {
    expect(shortUID('1.2.826.0.1')).toBe('1.2.826.0.1');
    expect(shortUID('1.2.826.0.1.3680043.8.498.12345678901234.17')).toBe('1.2.826.0.1.…45678901234.17');
    expect(shortUIDs('No study 1.2.826.0.1.3680043.8.498.12345678901234.17; 0.5 MB of 1.2.3.')).toBe(
      'No study 1.2.826.0.1.…45678901234.17; 0.5 MB of 1.2.3.',
    );
  });
  test('dates that are typed', () => {
    expect(['1961-4-2', '19610402', ' 2.4.1961 '].map(readDate)).toEqual(Array(3).fill('1961-04-02'));
    expect(['', '1961-02-30', '04/02/1961', '61-04-02'].map(readDate)).toEqual(Array(4).fill(null));
  });
});
