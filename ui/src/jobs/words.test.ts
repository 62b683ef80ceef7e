// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import type { Job } from '../api';
import { fakeJob } from './job.fake';
import { byYourClock, happens, sentence, studiesDone, wronglyNamed } from './words';

const now = new Date(2026, 10, 12, 21, 5);
const later = new Date(2026, 10, 12, 23, 10).toISOString();

const rows: [what: string, job: Parameters<typeof fakeJob>[0], says: string][] = [
  [
    'unverified',
    { status: 'unverified', why_waiting: 'the job waits for verification by staff' },
    'The job waits for verification by staff.',
  ],
  [
    'waits',
    { why_waiting: 'DICOM Server A is closed for jobs now', tasks: { pending: 3 } },
    'DICOM Server A is closed for jobs now.',
  ],
  [
    'waits for a time of another zone',
    {
      why_waiting: 'A is closed; window opens at 02:10 (Mars/Utopia)',
      waiting_until: later,
      tasks: { pending: 3 },
    },
    'A is closed; window opens today 23:10.',
  ],
  [
    'waits for a day',
    {
      why_waiting: 'A is closed; window opens at 23:10 on Thu 2026-11-12 (Europe/Berlin)',
      waiting_until: later,
      tasks: { pending: 3 },
    },
    'A is closed; window opens today 23:10.',
  ],
  [
    'waits for two windows',
    {
      why_waiting: 'A opens at 01:10 (Mars/Utopia), B at 02:10 (Mars/Utopia)',
      waiting_until: later,
      tasks: { pending: 3 },
    },
    'A opens at 01:10 (Mars/Utopia), B at 02:10 (Mars/Utopia). By your clock the last of these is today 23:10.',
  ],
  ['begins', { tasks: { pending: 3 } }, 'It begins in a moment.'],
  [
    'runs, and others of it wait',
    {
      status: 'in_progress',
      why_waiting: 'all associations are in use',
      rate: { instances_per_second: 61.4, bytes_per_second: 1 },
      ready_at: later,
      tasks: { in_progress: 4, pending: 9 },
    },
    '61 images/s, ready about 23:10',
  ],
  ['has just begun', { status: 'in_progress', tasks: { in_progress: 1 } }, '1 study on the way.'],
  [
    'runs, but waits',
    {
      status: 'in_progress',
      paused: true,
      why_waiting: 'the job is paused',
      tasks: { success: 1, pending: 2 },
    },
    'The job is paused.',
  ],
  [
    'stops',
    { status: 'canceling', tasks: { in_progress: 2, canceled: 4 } },
    '2 running studies will stop at the next image.',
  ],
  [
    'ended',
    { status: 'success', message: 'All 3 studies were transferred.', tasks: { success: 3 } },
    'All 3 studies were transferred.',
  ],
];

test.each(rows)('what happens: %s', (_, job, says) => {
  expect(happens(fakeJob(job), now)).toBe(says);
});

test('how far', () => {
  const tasks: Partial<Job['tasks']> = { success: 300, failure: 12, in_progress: 4, pending: 1184 };
  expect(studiesDone(fakeJob({ tasks }))).toBe('300 of 1,500');
});

test('which study was meant', () => {
  expect(wronglyNamed('The source PACS-A has no study 1.2; check the Study Instance UID.')).toBe(true);
  expect(wronglyNamed('2 images were refused.')).toBe(false);
});

test('sentences', () => {
  expect(['', ' PACS is down', 'so it is.', 'why?'].map(sentence)).toEqual([
    '',
    'PACS is down.',
    'So it is.',
    'Why?',
  ]);
});

test.each([
  ['next attempt in 2h5m0s (at 23:10 Europe/Berlin)', later, ''],
  [
    'window opens at 02:10; next attempt in 1m0s (at 01:00 X)',
    later,
    'By your clock the last of these is today 23:10.',
  ],
  ['the job is paused', undefined, ''],
])('by your clock: %s', (why_waiting, waiting_until, says) => {
  expect(byYourClock({ why_waiting, waiting_until }, now)).toBe(says);
});
