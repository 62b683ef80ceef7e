// SPDX-License-Identifier: AGPL-3.0-or-later

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { LiveEvent, Study } from '../api';
import { againAfter, StudySearch } from './studies';

const study = (uid: string, date: string) =>
  ({ study_instance_uid: uid, study_date: date, study_time: '' }) as Study;

/** begun is a search whose events the test makes. */
function begun() {
  const calls: { server: string; listener: (event: LiveEvent) => void; ended: boolean }[] = [];
  const search = new StudySearch(({ server }, listener) => {
    const call = { server, listener, ended: false };
    calls.push(call);
    return () => {
      call.ended = true;
    };
  });
  search.start('PACS-A', { patient_id: 'PHANTOM-1' });
  const tell = (event: LiveEvent) => calls.at(-1)?.listener(event);
  return { search, calls, tell };
}

const ended = (status: number, code: string) =>
  ({ ended: { title: '', type: '', status, code, detail: 'Why.' } }) as LiveEvent;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('results come in, newest first, and those without a date last', () => {
  const { search, tell } = begun();
  tell({ found: { count: 2, studies: [study('1', '20260101'), study('2', '')] } });
  expect(search.now().phase).toBe('running');
  tell({ found: { count: 3, studies: [study('3', '20260202')], done: true, truncated: true } });
  expect(search.now()).toMatchObject({ phase: 'done', truncated: true, server: 'PACS-A' });
  expect(search.now().studies.map((s) => s.study_instance_uid)).toEqual(['3', '1', '2']);
  expect(search.now().took).toBeTypeOf('number');
});

test('a busy server is asked again by itself', () => {
  const { search, calls, tell } = begun();
  tell({ found: { count: 0, done: true, failed: true } });
  tell(ended(503, 'busy'));
  expect(search.now().phase).toBe('busy');
  vi.advanceTimersByTime(againAfter);
  expect([search.now().phase, calls.length]).toEqual(['running', 2]);
  tell(ended(503, 'busy'));
  search.stop();
  vi.advanceTimersByTime(againAfter);
  expect([search.now().phase, calls.length]).toEqual(['stopped', 2]);
});

test('failed, and lost', () => {
  const { search, tell } = begun();
  tell(ended(502, 'server_failed'));
  expect(search.now()).toMatchObject({ phase: 'failed', problem: { message: 'Why.' } });
  search.start('PACS-A', {});
  tell(ended(0, 'unreachable'));
  expect(search.now().phase).toBe('lost');
});

test('a search that is stopped keeps what it found, and ends at the server', () => {
  const { search, calls, tell } = begun();
  tell({ found: { count: 1, studies: [study('1', '20260101')] } });
  search.stop();
  expect(search.now()).toMatchObject({ phase: 'stopped', studies: [{ study_instance_uid: '1' }] });
  expect(calls[0]?.ended).toBe(true);
  search.clear();
  expect(search.now()).toMatchObject({ phase: 'idle', studies: [] });
});
