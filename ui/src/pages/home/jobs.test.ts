// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import type { FailureGroup, Job } from '../../api';
import { fakeJob } from '../../jobs/job.fake';
import { homeJobs, reasons } from './jobs';

const now = new Date('2026-11-12T21:00:00Z');
const ids = (jobs: Job[]) => jobs.map((j) => j.id);
const ended = (id: number, status: Job['status'], at: string) => fakeJob({ id, status, ended_at: at });

test('what goes where', () => {
  const jobs = [
    fakeJob({ id: 9, tasks: { pending: 1 } }),
    fakeJob({ id: 8, status: 'in_progress', tasks: { in_progress: 1 } }),
    fakeJob({ id: 7, status: 'canceling', tasks: { in_progress: 1 } }),
    ended(6, 'success', '2026-11-12T12:00:00Z'),
    ended(5, 'failure', '2026-11-11T12:00:00Z'),
    ended(4, 'warning', '2026-11-12T20:00:00Z'),
    ended(3, 'failure', '2026-11-10T12:00:00Z'),
    ended(2, 'canceled', '2026-11-12T13:00:00Z'),
  ];
  const shown = homeJobs([...jobs, ...jobs], now);
  expect(ids(shown.open)).toEqual([8, 7, 9]);
  expect(ids(shown.ended)).toEqual([4, 2, 6, 5]);
  expect(ids(shown.needs)).toEqual([4, 5]);
});

test('reasons', () => {
  const job = fakeJob({ status: 'failure', message: '5 of 9 studies failed' });
  const group = (message: string): FailureGroup => ({
    status: 'failure',
    message,
    tasks: 5,
    missing: 12,
    retry_helps: true,
    first: [],
  });
  expect(reasons(job, undefined)).toBe('5 of 9 studies failed.');
  expect(reasons(job, [group('the source does not answer')])).toBe('5 studies: The source does not answer.');
  expect(reasons(job, [group('A.'), group('B.'), group('C.')])).toBe('5 studies: A. And 2 other reasons.');
});
