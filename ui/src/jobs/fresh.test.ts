// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import { belongs, freshWords, missingIn } from './fresh';
import { fakeJob } from './job.fake';
import type { JobFilter } from './queries';

const ids = (jobs: { id: number }[]) => jobs.map((j) => j.id);
const jobs = (...of: number[]) => of.map((id) => fakeJob({ id }));

test('which jobs a filter chooses', () => {
  const job = fakeJob({ status: 'failure' });
  const rows: [JobFilter, boolean][] = [
    [undefined, true],
    [{}, true],
    [{ mine: 'true' }, true],
    [{ status: ['failure', 'warning'], source: 'PACS-A', destination: 'RESEARCH' }, true],
    [{ status: [] }, true],
    [{ status: ['warning'] }, false],
    [{ source: 'ARCHIVE' }, false],
    [{ destination: 'TRIALS' }, false],
    [{ project: 'spine-atlas' }, false],
    [{ kind: 'selective_transfer' }, true],
  ];
  expect(rows.map(([f]) => belongs(job, f, 'researcher'))).toEqual(rows.map(([, chosen]) => chosen));
  expect(belongs(job, { mine: 'true' }, 'somebody')).toBe(false);
});

describe('what a list lacks', () => {
  const missing = (shown: number[], more: boolean, ...seen: number[]) =>
    ids(missingIn({ jobs: jobs(...shown), more }, jobs(...seen), {}, 'researcher'));
  test('new ones, and ones that came to match', () => {
    expect(missing([9, 7, 5], true, 10, 9, 8)).toEqual([10, 8]);
  });
  test('not those of pages that are not loaded', () => {
    expect(missing([9, 7, 5], true, 4)).toEqual([]);
    expect(missing([9, 7, 5], false, 4)).toEqual([4]);
  });
  test('nothing is shown yet', () => {
    expect(missing([], false, 1)).toEqual([1]);
  });
});

test('words', () => {
  const shown = { jobs: jobs(9, 7), more: false };
  expect(freshWords(shown, jobs(10))).toBe('1 new job');
  expect(freshWords(shown, jobs(10, 11))).toBe('2 new jobs');
  expect(freshWords(shown, jobs(10, 8))).toBe('2 more jobs');
});
