// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, it } from 'vitest';

import type { Series, Task } from '../../api';
import { fakeJob } from '../../jobs/job.fake';
import { questionOf } from './questions';
import { fetchWords, mayRetry, missed, taskWords } from './words';

const task = (t: Partial<Task>): Task => ({
  id: 1201,
  job_id: 1204,
  seq: 8,
  status: 'failure',
  message: '2 images were refused',
  study_instance_uid: '1.2.3',
  bytes: 0,
  expected: 318,
  received: 318,
  delivered: 316,
  verified: 0,
  failures: 0,
  waits: 0,
  created_at: '2026-11-12T17:41:00Z',
  ...t,
});

describe('a task', () => {
  it('says what became of it', () => {
    expect(taskWords(task({ verified: 316 }), fakeJob())).toEqual({
      title: '2 images were refused.',
      says: '316 of 318 images delivered to RESEARCH. 316 found there afterwards.',
    });
    expect(
      taskWords(task({ status: 'pending', why_waiting: 'PACS-A is closed', expected: 0 }), fakeJob()),
    ).toEqual({
      title: 'Waits: PACS-A is closed.',
      says: '',
    });
    expect(taskWords(task({ status: 'in_progress', expected: 0 }), fakeJob()).title).toBe(
      'PACS-A is asked what belongs to the study.',
    );
  });
  it('lists what is missing', () => {
    const series = (uid: string, ...missing: string[]): Series => ({
      series_instance_uid: uid,
      expected: 2,
      delivered: 0,
      verified: 0,
      bytes: 0,
      missing: missing.map((m) => ({ sop_instance_uid: m, reason: 'refused' })),
    });
    const all = missed([series('1', '1.1'), series('2'), series('3', '3.1', '3.2')]);
    expect(all.map((m) => [m.series, m.sop_instance_uid])).toEqual([
      ['1', '1.1'],
      ['3', '3.1'],
      ['3', '3.2'],
    ]);
  });
  it('says what a retry would fetch, which is of the whole job', () => {
    const one = fakeJob({ status: 'failure', tasks: { failure: 1 } });
    expect(fetchWords(task({}), one)).toBe('Fetch the 2 missing images');
    expect(fetchWords(task({ delivered: 317 }), one)).toBe('Fetch the missing image');
    expect(fetchWords(task({ expected: 0, delivered: 0 }), one)).toBe('Try again');
    expect(fetchWords(task({}), fakeJob({ tasks: { failure: 3 } }))).toBe(
      'Retry 3 failed studies of the job',
    );
  });
  it('is retried only once its job has ended', () => {
    expect(mayRetry(task({}), fakeJob({ status: 'failure' }))).toBe(true);
    expect(mayRetry(task({}), fakeJob({ status: 'in_progress' }))).toBe(false);
    expect(mayRetry(task({ status: 'warning' }), fakeJob({ status: 'warning' }))).toBe(false);
  });
  it('asks with numbers', () => {
    expect(questionOf('reset', task({}), fakeJob()).says).toContain(
      'with the 316 images that RESEARCH has already',
    );
    expect(questionOf('kill', task({}), fakeJob()).says).toContain('stays at RESEARCH');
  });
});
