// SPDX-License-Identifier: AGPL-3.0-or-later

import { count } from './numbers';

/** DateFormat is how a person likes dates to be written; auto: as YYYY-MM-DD. */
export type DateFormat = 'auto' | 'YYYY-MM-DD' | 'DD.MM.YYYY' | 'DD/MM/YYYY' | 'MM/DD/YYYY';

let format: DateFormat = 'auto';

/** useDates sets the format of all dates that are written from now on. */
export function setDateFormat(f: DateFormat): void {
  format = f;
}

const two = (n: number) => String(n).padStart(2, '0');

function written(year: string, month: string, day: string): string {
  const pattern = format === 'auto' ? 'YYYY-MM-DD' : format;
  return pattern.replace('YYYY', year).replace('MM', month).replace('DD', day);
}

/** day writes the date of an instant, where the reader is. */
export function day(t: Date): string {
  return written(String(t.getFullYear()), two(t.getMonth() + 1), two(t.getDate()));
}

/** clock writes the time of day of an instant, where the reader is: 16:31. */
export function clock(t: Date): string {
  return `${two(t.getHours())}:${two(t.getMinutes())}`;
}

/** exact writes an instant to the second, for tooltips. */
export function exact(t: Date): string {
  return `${day(t)} ${clock(t)}:${two(t.getSeconds())}`;
}

const midnight = (t: Date) => new Date(t.getFullYear(), t.getMonth(), t.getDate());

/** daysFrom counts the midnights between two instants, over changes of the clock as well. */
function daysFrom(a: Date, b: Date): number {
  return Math.round((midnight(b).getTime() - midnight(a).getTime()) / 86_400_000);
}

/** when writes an instant as people say it: "today 16:31", "yesterday 00:44", "tomorrow 06:00", else the date. */
export function when(t: Date, now = new Date()): string {
  switch (daysFrom(t, now)) {
    case 0:
      return `today ${clock(t)}`;
    case 1:
      return `yesterday ${clock(t)}`;
    case -1:
      return `tomorrow ${clock(t)}`;
    default:
      return `${day(t)} ${clock(t)}`;
  }
}

/** lasting writes how long something takes, in its two largest units at most: "2 h 5 min". */
export function lasting(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60), minutes % 60];
  if (days >= 1) return `${counted(days)} ${hours % 24} h`;
  return rest ? `${hours} h ${rest} min` : `${hours} h`;
}

/** took writes how long something has taken. */
export function took(milliseconds: number): string {
  return milliseconds < 1000 ? '< 1 s' : lasting(milliseconds);
}

const counted = (days: number) => (days === 1 ? '1 day' : `${count(days)} days`);

/** ready says when something will be done: "in 4 min", "about 23:10", "about tomorrow 06:30". */
export function ready(at: Date, now = new Date()): string {
  const left = at.getTime() - now.getTime();
  if (left < 90_000) return 'in about 1 min';
  if (left < 3_600_000) return `in about ${lasting(left)}`;
  return daysFrom(at, now) === 0 ? `about ${clock(at)}` : `about ${when(at, now)}`;
}
