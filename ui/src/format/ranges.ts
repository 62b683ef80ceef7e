// SPDX-License-Identifier: AGPL-3.0-or-later

import { date, readDate } from './dicom';

/** Preset is a stretch of days that moves with today. */
export type Preset = 'today' | 'yesterday' | '7' | '30' | 'year' | 'any';

export const presetWords: Record<Preset, string> = {
  today: 'Today',
  yesterday: 'Yesterday',
  7: 'Last 7 days',
  30: 'Last 30 days',
  year: 'This year',
  any: 'Any time',
};

export const presets: Preset[] = ['today', 'yesterday', '7', '30', 'year', 'any'];

/** DateRange is a stretch of days: one that moves with today, or what was typed for its ends. */
export type DateRange = { preset: Preset } | { from: string; until: string };

export const anyTime: DateRange = { preset: 'any' };

/** Days are the ends of a stretch, as YYYY-MM-DD; one that is absent is open. */
export type Days = { from?: string; until?: string };

const two = (n: number) => String(n).padStart(2, '0');

/** iso writes the day of an instant, where the reader is, as programs read it. */
export function iso(t: Date): string {
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
}

const before = (t: Date, days: number) => iso(new Date(t.getFullYear(), t.getMonth(), t.getDate() - days));

/** daysOf gives the days of a range; what was typed has to be right. */
export function daysOf(range: DateRange, now = new Date()): Days {
  if (!('preset' in range)) {
    return { from: readDate(range.from) ?? undefined, until: readDate(range.until) ?? undefined };
  }
  const today = iso(now);
  switch (range.preset) {
    case 'today':
      return { from: today, until: today };
    case 'yesterday':
      return { from: before(now, 1), until: before(now, 1) };
    case '7':
      return { from: before(now, 6), until: today };
    case '30':
      return { from: before(now, 29), until: today };
    case 'year':
      return { from: `${now.getFullYear()}-01-01`, until: today };
    case 'any':
      return {};
  }
}

export type RangeFaults = { from?: string; until?: string };

const noDate = 'This is not a date. Write it as 1970-01-31 or 31.01.1970.';

/** dateFault says what is wrong with a date that was typed; empty: nothing. */
export function dateFault(text: string): string {
  return text.trim() === '' || readDate(text) ? '' : noDate;
}

/** rangeFaults says what is wrong with the ends that were typed. */
export function rangeFaults(range: DateRange): RangeFaults {
  if ('preset' in range) return {};
  const faults = { from: dateFault(range.from), until: dateFault(range.until) };
  const { from, until } = daysOf(range);
  if (from && until && from > until) faults.until = 'This is before the first day.';
  return Object.fromEntries(Object.entries(faults).filter(([, words]) => words));
}

const shown = (day: string) => date(day.replaceAll('-', ''));

/** rangeWords names a range, as short as a button wants it. */
export function rangeWords(range: DateRange): string {
  if ('preset' in range) return presetWords[range.preset];
  const { from, until } = daysOf(range);
  if (from && from === until) return shown(from);
  if (from && until) return `${shown(from)} – ${shown(until)}`;
  if (from) return `Since ${shown(from)}`;
  if (until) return `Until ${shown(until)}`;
  return presetWords.any;
}
