// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import type { Job } from '../api';
import { actionWords, allowedActions, done, questionOf } from './actions';
import { fakeJob, fakeMe } from './job.fake';

describe('what is allowed', () => {
  const started = '2026-11-12T18:00:00Z';
  const rows: [what: string, job: Partial<Job>, owner: string, staff: string][] = [
    ['unverified', { status: 'unverified' }, 'delete', 'verify delete'],
    ['not begun', { status: 'pending' }, 'pause cancel delete', 'pause cancel delete'],
    ['begun, waits', { status: 'pending', started_at: started }, 'pause cancel', 'pause cancel'],
    ['runs', { status: 'in_progress', started_at: started }, 'pause cancel', 'pause cancel'],
    ['paused', { status: 'pending', paused: true }, 'continue cancel delete', 'continue cancel delete'],
    ['urgent', { status: 'in_progress', urgent: true }, 'pause unhurry cancel', 'pause unhurry cancel'],
    ['stops', { status: 'canceling' }, '', ''],
    ['canceled', { status: 'canceled' }, 'resume', 'resume restart delete'],
    ['canceled while paused', { status: 'canceled', paused: true }, 'resume', 'resume restart delete'],
    ['success', { status: 'success' }, '', 'restart delete'],
    ['warning', { status: 'warning' }, 'retry', 'retry restart delete'],
    ['failure', { status: 'failure' }, 'retry', 'retry restart delete'],
  ];
  test.each(rows)('%s', (_, job, owner, staff) => {
    const of = (is_staff: boolean) => allowedActions(fakeJob(job), fakeMe({ is_staff })).join(' ');
    expect([of(false), of(true)]).toEqual([owner, staff]);
  });
  test('urgent is for those with the right', () => {
    const may = (job: Partial<Job>, permissions: string[]) =>
      allowedActions(fakeJob(job), fakeMe({ permissions })).includes('hurry');
    expect(may({}, ['urgent'])).toBe(true);
    expect(may({}, ['selective_transfer'])).toBe(false);
    expect(may({ urgent: true }, ['urgent'])).toBe(false);
    expect(may({ status: 'failure' }, ['urgent'])).toBe(false);
    expect(allowedActions(fakeJob(), fakeMe({ is_superuser: true }))).toContain('hurry');
  });
});

test('words with numbers', () => {
  expect(actionWords('retry', fakeJob({ tasks: { failure: 1, success: 4 } }))).toBe('Retry 1 failed study');
  expect(actionWords('retry', fakeJob({ tasks: { failure: 12, warning: 1 } }))).toBe(
    'Retry 12 failed studies',
  );
  expect(actionWords('retry', fakeJob({ tasks: { warning: 3 } }))).toBe('Verify again');
  expect(actionWords('resume', fakeJob({ tasks: { canceled: 184 } }))).toBe('Resume 184 studies');
  expect(done('pause', fakeJob())).toBe('Job 1204 is paused.');
});

describe('what is asked', () => {
  const says = (...of: Parameters<typeof questionOf>) => questionOf(...of)?.says;
  test('cancel', () => {
    const job = fakeJob({ status: 'in_progress', delivered: 9, tasks: { in_progress: 4, pending: 184 } });
    expect(questionOf('cancel', job)).toEqual({
      title: 'Cancel job 1204?',
      says:
        'The 4 running studies stop at the next image, and 184 will not be sent. ' +
        'What has been delivered stays at RESEARCH. You can resume the job later.',
      keep: 'Keep it running',
      go: 'Cancel job',
    });
    expect(says('cancel', fakeJob({ tasks: { in_progress: 1, pending: 1 } }))).toBe(
      'The running study stops at the next image, and 1 will not be sent. You can resume the job later.',
    );
    expect(says('cancel', fakeJob({ tasks: { pending: 3 } }))).toBe(
      '3 studies will not be sent. You can resume the job later.',
    );
    expect(says('cancel', fakeJob({ tasks: { pending: 1 } }))).toBe(
      '1 study will not be sent. You can resume the job later.',
    );
    expect(says('cancel', fakeJob({ tasks: { in_progress: 2 } }))).toBe(
      'The 2 running studies stop at the next image. You can resume the job later.',
    );
  });
  test('restart', () => {
    expect(says('restart', fakeJob({ tasks: { success: 400 } }))).toBe(
      'All 400 studies go from PACS-A to RESEARCH again, with what has arrived already. ' +
        'To send only what is missing, retry the job instead.',
    );
  });
  test('delete', () => {
    expect(says('delete', fakeJob({ tasks: { pending: 3 } }))).toBe(
      'Nothing of it has been sent, and nothing will be.',
    );
    expect(says('delete', fakeJob({ status: 'success', delivered: 3, tasks: { success: 3 } }))).toBe(
      'ADIT forgets the job and what became of its 3 studies. What has been delivered stays at RESEARCH. ' +
        'This cannot be undone.',
    );
  });
  test('of a batch query', () => {
    const of = { kind: 'batch_query', destination: '' } as const;
    expect(says('cancel', fakeJob({ ...of, tasks: { in_progress: 4, pending: 184 } }))).toBe(
      'The 4 running rows stop, and 184 will not be asked. What was found stays. You can resume the job later.',
    );
    expect(says('restart', fakeJob({ ...of, tasks: { success: 59 } }))).toBe(
      'All 59 rows are asked of PACS-A again. What was found before is forgotten.',
    );
    expect(says('delete', fakeJob({ ...of, status: 'success', tasks: { success: 1 } }))).toBe(
      'ADIT forgets the job and what it has found for its 1 row. This cannot be undone.',
    );
    expect(actionWords('retry', fakeJob({ ...of, tasks: { failure: 2 } }))).toBe('Retry 2 failed rows');
  });
  test('of a mass transfer', () => {
    const of = { kind: 'mass_transfer' } as const;
    expect(says('cancel', fakeJob({ ...of, tasks: { in_progress: 1, pending: 184 } }))).toBe(
      'The running task stops, and 184 will not be begun. What was found stays. ' +
        'You can resume the job later.',
    );
    expect(says('restart', fakeJob({ ...of, tasks: { success: 59 } }))).toMatch(
      /^All days are looked through at PACS-A again. What was found before is forgotten./,
    );
    expect(says('delete', fakeJob({ ...of, status: 'success', delivered: 3, tasks: { success: 3 } }))).toBe(
      'ADIT forgets the job, what it has found and what became of it. What has been delivered stays at RESEARCH. ' +
        'This cannot be undone.',
    );
    expect(actionWords('retry', fakeJob({ ...of, tasks: { failure: 2 } }))).toBe('Retry 2 failed tasks');
  });
  test('nothing, where it can be taken back', () => {
    const asked = (['pause', 'continue', 'retry', 'resume', 'hurry', 'unhurry', 'verify'] as const).filter(
      (a) => questionOf(a, fakeJob()),
    );
    expect(asked).toEqual([]);
  });
});
