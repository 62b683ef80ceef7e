// SPDX-License-Identifier: AGPL-3.0-or-later

import { type DateRange, daysOf, iso } from '../format/ranges';
import type { Ends } from './days';

const day = (year: number, month: number, date: number) => iso(new Date(year, month, date));

/** shortcuts are stretches of days that people often want, by their names. */
export function shortcuts(now = new Date()): [name: string, ends: Ends][] {
  const [year, month] = [now.getFullYear(), now.getMonth()];
  const late = (range: DateRange): Ends => {
    const { from = '', until = '' } = daysOf(range, now);
    return { first: from, last: until };
  };
  return [
    ['Last 7 days', late({ preset: '7' })],
    ['Last 30 days', late({ preset: '30' })],
    ['Last month', { first: day(year, month - 1, 1), last: day(year, month, 0) }],
    ['This year', late({ preset: 'year' })],
    ['Last year', { first: `${year - 1}-01-01`, last: `${year - 1}-12-31` }],
  ];
}
