// SPDX-License-Identifier: AGPL-3.0-or-later

import { readDate } from '../format/dicom';
import { counted } from '../format/numbers';

/** Ends are the first and the last day of a mass transfer, as they were typed. */
export type Ends = { first: string; last: string };

const aDay = 86_400_000;

/** dayNumber counts the days of YYYY-MM-DD from 1970 on. No change of the clock has a say in it. */
export function dayNumber(date: string): number {
  return Math.round(Date.parse(`${date}T00:00:00Z`) / aDay);
}

/** dayOf is the date of a number of dayNumber. */
export function dayOf(number: number): string {
  return new Date(number * aDay).toISOString().slice(0, 10);
}

/** readEnds are the ends as dates; null: they are not right. */
export function readEnds({ first, last }: Ends): Ends | null {
  const [from, to] = [readDate(first), readDate(last)];
  return from && to && from <= to ? { first: from, last: to } : null;
}

/** Partitions are the days that are looked through at once. */
export type Partitions = 'daily' | 'weekly';

/** partsIn counts what is looked through from one day to another. */
export function partsIn({ first, last }: Ends, partitions: Partitions): number {
  const days = dayNumber(last) - dayNumber(first) + 1;
  return partitions === 'weekly' ? Math.ceil(days / 7) : days;
}

/** counted days or weeks: "366 days". */
export function parts(n: number, partitions: Partitions): string {
  return counted(n, partitions === 'weekly' ? 'week' : 'day');
}
