// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, it } from 'vitest';

import type { Recurrence } from '../api';
import {
  againOf,
  faultsOf,
  firstPlan,
  formOf,
  otherClock,
  planSays,
  readPlan,
  readTime,
  toggled,
  type Weekday,
} from './plan';
import { aboutSays, lastRun, nextSays, removing } from './words';

describe('a time of day', () => {
  it.each([
    ['02:00', '02:00'],
    [' 2:05', '02:05'],
    ['0200', '02:00'],
    ['930', '09:30'],
    ['23.59', '23:59'],
    ['24:00', null],
    ['12:60', null],
    ['2', null],
    ['', null],
    ['02:00 pm', null],
  ])('is read of %j', (text, want) => expect(readTime(text)).toBe(want));
});

describe('a plan', () => {
  it.each([
    [{}, true, { at: '02:00', overlap_days: 7 }],
    [{}, false, { at: '02:00' }],
    [{ overlap: '' }, true, { at: '02:00' }],
    [{ overlap: 'x' }, false, { at: '02:00' }],
    [{ overlap: 'x' }, true, null],
    [{ overlap: '3661' }, true, null],
    [{ at: 'noon' }, true, null],
    [
      { last: '31.12.2027', weekdays: ['mon'] },
      false,
      { at: '02:00', last_day: '2027-12-31', weekdays: ['mon'] },
    ],
    [{ last: '2027-02-30' }, false, null],
  ] as const)('is read of %j', (part, overlaps, want) => {
    const form = { ...firstPlan, ...part, weekdays: [...('weekdays' in part ? part.weekdays : [])] };
    expect(readPlan(form, overlaps)).toEqual(want);
    expect(againOf(form, overlaps).plan ?? null).toEqual(want);
    if (want) expect(readPlan(formOf(want as { at: string }), overlaps)).toEqual(want);
  });

  it('says what is wrong in its field', () => {
    expect(Object.keys(faultsOf({ weekdays: [], at: 'x', last: 'x', overlap: 'x' }))).toEqual([
      'at',
      'last',
      'overlap',
    ]);
  });

  it.each<[Weekday[], string]>([
    [[], 'Every day at 02:00'],
    [['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'], 'Every day at 02:00'],
    [['mon'], 'Mon at 02:00'],
    [['sat', 'sun'], 'Sat and Sun at 02:00'],
    [['fri', 'mon', 'wed'], 'Mon, Wed and Fri at 02:00'],
    [['mon', 'tue', 'wed', 'thu', 'fri'], 'Mon to Fri at 02:00'],
  ])('of %j is said', (weekdays, want) => expect(planSays({ at: '02:00', weekdays })).toBe(want));

  it('says its last day', () => {
    expect(planSays({ at: '02:00', last_day: '2027-12-31' })).toBe('Every day at 02:00, until 2027-12-31');
  });

  it('has its days in the order of the week', () => {
    expect(toggled(toggled(['wed'], 'mon'), 'sun')).toEqual(['mon', 'wed', 'sun']);
    expect(toggled(['mon', 'wed'], 'wed')).toEqual(['mon']);
  });
});

describe('the clock of the site', () => {
  const winter = new Date('2026-12-01T12:00:00Z');
  it.each([
    ['Europe/Berlin', 'Europe/Berlin', ''],
    ['Europe/Berlin', 'Europe/Paris', ''],
    ['Europe/Berlin', 'Europe/London', 'Europe/Berlin'],
    ['Europe/Berlin', 'Africa/Lagos', 'Europe/Berlin'], // the same in winter alone
  ])('%s, read in %s', (site, reader, want) => expect(otherClock(site, reader, winter)).toBe(want));
});

const recurrence: Recurrence = {
  id: 3,
  kind: 'mass_transfer',
  owner: 'researcher',
  sources: ['PACS-A'],
  destination: 'RESEARCH',
  project: 'lung-screening',
  at: '02:00',
  paused: false,
  runs: 0,
  created_at: '2026-11-30T10:00:00Z',
};

describe('a recurrence', () => {
  it.each<[Partial<Recurrence>, ReturnType<typeof lastRun>]>([
    [{}, { says: 'It has not run yet.' }],
    [{ job_id: 12 }, { job: 12, says: 'goes on.' }],
    [
      { job_id: 12, message: 'Job 12 found 3 new.' },
      { job: 12, says: 'found 3 new.' },
    ],
    [
      { job_id: 12, message: 'It could not run: you may not read from PACS-A.' },
      { says: 'It could not run: you may not read from PACS-A.' },
    ],
    [
      { job_id: 12, message: 'The job of the last run was removed.' },
      { says: 'The job of the last run was removed.' },
    ],
  ])('%j had this last run', (part, want) => expect(lastRun({ ...recurrence, ...part })).toEqual(want));

  it('says when it runs next', () => {
    const now = new Date(2026, 10, 30, 12, 0);
    const next_at = new Date(2026, 11, 1, 2, 0).toISOString();
    expect(nextSays({ ...recurrence, next_at }, now)).toBe('Next: tomorrow 02:00');
    expect(nextSays({ ...recurrence, next_at, paused: true }, now)).toBe('Paused');
    expect(nextSays(recurrence, now)).toBe('It runs no more.');
  });

  it('says what it is about', () => {
    expect(aboutSays({ ...recurrence, kind: 'batch_query', rows: 1 })).toBe('1 search');
    expect(aboutSays({ ...recurrence, filters: [{ mode: 'include', modality: 'CT' }] })).toBe('CT series');
  });

  it('is removed only after a question that says what stays', () => {
    expect(removing(recurrence).title).toBe('Remove Mass Transfer 3?');
    expect(removing(recurrence).says).not.toMatch(/stay/);
    const { title, says } = removing({ ...recurrence, title: 'Stroke', runs: 2 });
    expect(title).toBe('Remove “Stroke”?');
    expect(says).toMatch(/The 2 jobs that it has made stay/);
  });
});
