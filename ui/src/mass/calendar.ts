// SPDX-License-Identifier: AGPL-3.0-or-later

import { count, counted } from '../format/numbers';
import { dayNumber } from './days';
import type { MassPartition } from '../api';

/** Shade is what the chart shows of each partition. */
export type Shade = 'studies' | 'series' | 'instances';

export const shades: { value: Shade; label: string }[] = [
  { value: 'studies', label: 'Studies' },
  { value: 'series', label: 'Series' },
  { value: 'instances', label: 'Images' },
];

export const shadeWords = { studies: 'studies', series: 'series', instances: 'images' };

/** Cell is a partition at its place in a block: weeks go across, weekdays down. A week stands in the first row. */
export type Cell = { partition: MassPartition; column: number; row: number };

/** Block is a part of the calendar that has room in one line. */
export type Block = {
  label: string;
  columns: number;
  cells: Cell[];
  /** The names of the months, each above the column in which it begins. */
  months: { column: number; name: string }[];
};

const monthNames = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** weekdays are the rows of a calendar. */
export const weekdays = 'Mon Tue Wed Thu Fri Sat Sun'.split(' ');

const yearOf = (date: string) => date.slice(0, 4);
const monthOf = (date: string) => monthNames[Number(date.slice(5, 7)) - 1] ?? '';

// The first of January 1970 was a Thursday.
const weekOf = (day: number) => Math.floor((day + 3) / 7);
const weekdayOf = (day: number) => (((day + 3) % 7) + 7) % 7;

/** wholeYear is how many columns a year may need. */
export const wholeYear = 54;
const roomForName = 3; // columns

/**
 * blocksOf parts a calendar into blocks of at most so many columns: a year each where there is room for one, unless all
 * of it has room in one block.
 */
export function blocksOf(partitions: MassPartition[], weekly: boolean, room: number): Block[] {
  const first = partitions[0];
  const last = partitions.at(-1);
  if (!first || !last) return [];
  const start = dayNumber(first.from);
  const place = (p: MassPartition) => {
    const day = dayNumber(p.from);
    return weekly
      ? { column: Math.floor((day - start) / 7), row: 0 }
      : { column: weekOf(day), row: weekdayOf(day) };
  };
  const origin = place(first).column;
  const byYear = place(last).column - origin >= room && room >= wholeYear;
  const groups = new Map<number, Cell[]>();
  for (const partition of partitions) {
    const { column, row } = place(partition);
    const key = byYear ? Number(yearOf(partition.from)) : Math.floor((column - origin) / Math.max(room, 1));
    const group = groups.get(key) ?? [];
    if (group.length === 0) groups.set(key, group);
    group.push({ partition, column, row });
  }
  return [...groups.values()].map(blockOf);
}

function blockOf(placed: Cell[]): Block {
  const from = placed[0]?.column ?? 0;
  const cells = placed.map((c) => ({ ...c, column: c.column - from }));
  const columns = (cells.at(-1)?.column ?? 0) + 1;
  const months: Block['months'] = [];
  for (const { partition, column } of cells) {
    const name = monthOf(partition.from);
    if (months.at(-1)?.name === name) continue;
    const before = months.at(-1);
    // A month of which only the end is there leaves its room to the next one.
    if (before && column - before.column < roomForName) months.pop();
    months.push({ column, name });
  }
  return { label: spanOf(cells), columns, cells, months };
}

function spanOf(cells: Cell[]): string {
  const [from, to] = [cells[0]?.partition.from ?? '', cells.at(-1)?.partition.from ?? ''];
  const [first, last] = [yearOf(from), yearOf(to)];
  return first === last ? first : `${first} – ${last}`;
}

const steps = 5;

/** topOf is the round number at which the darkest shade ends. */
export function topOf(partitions: MassPartition[], shade: Shade): number {
  const highest = partitions.reduce((top, p) => Math.max(top, p[shade]), 0);
  if (highest <= steps) return steps;
  const ten = 10 ** Math.floor(Math.log10(highest));
  return [1, 1.5, 2, 3, 4, 5, 8, 10].map((f) => f * ten).find((top) => top >= highest) ?? highest;
}

/** levelOf is the shade of a number, from 0 for nothing to 5. */
export function levelOf(value: number, top: number): number {
  return value <= 0 ? 0 : Math.min(steps, Math.ceil((value / top) * steps));
}

/** daysWords names the days of a partition: "Wed 17 Jan 2024", "17 to 23 Jan 2024". */
export function daysWords({ from, to }: Pick<MassPartition, 'from' | 'to'>): string {
  const date = (day: string, year = true) =>
    `${Number(day.slice(8))} ${monthOf(day)}${year ? ` ${yearOf(day)}` : ''}`;
  if (from === to) return `${weekdays[weekdayOf(dayNumber(from))] ?? ''} ${date(from)}`;
  if (from.slice(0, 7) === to.slice(0, 7)) return `${Number(from.slice(8))} to ${date(to)}`;
  return `${date(from, yearOf(from) !== yearOf(to))} to ${date(to)}`;
}

const states: Partial<Record<MassPartition['status'], string>> = {
  pending: 'not looked through yet',
  in_progress: 'is being looked through',
  canceled: 'canceled',
};

/** foundSays says what a partition has: "4 studies, 9 series, 1,810 images". */
export function foundSays(p: MassPartition): string {
  const state = states[p.status];
  if (state) return state;
  if (p.status === 'failure') return 'could not be looked through';
  const found =
    p.studies > 0
      ? [
          counted(p.studies, 'study', 'studies'),
          `${count(p.series)} series`,
          counted(p.instances, 'image'),
        ].join(', ')
      : 'nothing that fits';
  const of = p.searched > 0 ? `; ${counted(p.searched, 'study', 'studies')} looked at` : '';
  return `${found}${of}${p.status === 'warning' ? '; there may be more' : ''}`;
}

/** step is where a key leads from a cell; undefined: it is not for the chart. */
export function step(
  key: string,
  at: number,
  partitions: MassPartition[],
  weekly: boolean,
): number | undefined {
  const last = partitions.length - 1;
  const week = weekly ? 1 : 7;
  const to: Record<string, number> = {
    ArrowLeft: at - week,
    ArrowRight: at + week,
    ArrowUp: weekly ? at : at - 1,
    ArrowDown: weekly ? at : at + 1,
    Home: 0,
    End: last,
    PageUp: at - 4 * week,
    PageDown: at + 4 * week,
  };
  const next = to[key];
  return next === undefined ? undefined : Math.min(last, Math.max(0, next));
}
