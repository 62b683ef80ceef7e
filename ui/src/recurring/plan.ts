// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Plan } from '../api';
import { date as dicomDate, readDate } from '../format/dicom';
import { count } from '../format/numbers';

/** Weekday is a day of the week, as the API names it. */
export type Weekday = NonNullable<Plan['weekdays']>[number];

export const weekdays: [day: Weekday, name: string][] = [
  ['mon', 'Mon'],
  ['tue', 'Tue'],
  ['wed', 'Wed'],
  ['thu', 'Thu'],
  ['fri', 'Fri'],
  ['sat', 'Sat'],
  ['sun', 'Sun'],
];

/** PlanForm is when something runs again and again, as somebody chose and typed it. */
export type PlanForm = { weekdays: Weekday[]; at: string; last: string; overlap: string };

export const firstPlan: PlanForm = { weekdays: [], at: '02:00', last: '', overlap: '7' };

/** formOf is a plan as a form shows it. */
export function formOf(plan: Plan): PlanForm {
  return {
    weekdays: plan.weekdays ?? [],
    at: plan.at,
    last: plan.last_day ?? '',
    overlap: String(plan.overlap_days ?? 0),
  };
}

/** toggled chooses a day of the week, or chooses it no longer. */
export function toggled(chosen: Weekday[], day: Weekday): Weekday[] {
  return weekdays.map(([d]) => d).filter((d) => (d === day) !== chosen.includes(d));
}

/** readTime reads a time of day as people type it: "2:00", "02.00", "0200"; null: it is none. */
export function readTime(text: string): string | null {
  const [, h = '', m = ''] = /^(\d{1,2})(?:[:.]?(\d{2}))$/.exec(text.trim()) ?? [];
  return h && Number(h) < 24 && Number(m) < 60 ? `${h.padStart(2, '0')}:${m}` : null;
}

const mostDays = 3660; // that the API lets a run look back

const readDays = (text: string) => (/^\d{0,4}$/.test(text.trim()) ? Number(text) : NaN);

/** PlanFaults say of each field what is wrong with it. */
export type PlanFaults = Partial<Record<'at' | 'last' | 'overlap', string>>;

export function faultsOf({ at, last, overlap }: PlanForm): PlanFaults {
  const faults: PlanFaults = {};
  if (!readTime(at)) faults.at = 'A time of day, such as 02:00.';
  if (last.trim() && !readDate(last)) faults.last = 'A date, such as 2026-12-31.';
  if (!(readDays(overlap) <= mostDays)) faults.overlap = `A number of days, up to ${count(mostDays)}.`;
  return faults;
}

/** readPlan is the plan that a form says; null: something is wrong with it. */
export function readPlan(form: PlanForm, overlaps: boolean): Plan | null {
  const at = readTime(form.at);
  const faults = faultsOf(overlaps ? form : { ...form, overlap: '' });
  if (!at || Object.keys(faults).length > 0) return null;
  return {
    at,
    weekdays: form.weekdays.length > 0 ? form.weekdays : undefined,
    last_day: readDate(form.last) ?? undefined,
    overlap_days: (overlaps && readDays(form.overlap)) || undefined,
  };
}

/** daysSay names days of the week: "Every day", "Mon to Fri", "Mon, Wed and Fri". */
function daysSay(chosen: readonly Weekday[]): string {
  const at = weekdays.flatMap(([d], i) => (chosen.includes(d) ? [i] : []));
  const names = at.map((i) => weekdays[i]?.[1] ?? '');
  const [first = 0, last = 0] = [at[0], at.at(-1)];
  if (names.length === 0 || names.length === weekdays.length) return 'Every day';
  if (names.length > 2 && last - first === names.length - 1) return `${names[0]} to ${names.at(-1)}`;
  return [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' and ');
}

/** planSays says when something runs: "Mon to Fri at 02:00, until 2027-12-31". */
export function planSays({ weekdays: days = [], at, last_day: last }: Plan): string {
  const until = last ? `, until ${dicomDate(last.replaceAll('-', ''))}` : '';
  return `${daysSay(days)} at ${at}${until}`;
}

/** Again is when something is to run again and again; it has no plan while something is wrong with what was typed. */
export type Again = { form: PlanForm; plan?: Plan; says: string };

export function againOf(form: PlanForm, overlaps: boolean): Again {
  const plan = readPlan(form, overlaps);
  return plan ? { form, plan, says: planSays(plan) } : { form, says: '' };
}

/** clockIn writes the time of day of an instant in a zone. */
export function clockIn(zone: string, t: Date): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' }).format(t);
}

/** otherClock is the site's zone if its clock is not the reader's, in winter or in summer; empty: it is. */
export function otherClock(site: string, reader?: string, now = new Date()): string {
  const written = (zone: string | undefined, t: Date) =>
    new Intl.DateTimeFormat('en-GB', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' }).format(t);
  const halfYear = new Date(now.getTime() + 182 * 86_400_000);
  return [now, halfYear].every((t) => written(site, t) === written(reader, t)) ? '' : site;
}
