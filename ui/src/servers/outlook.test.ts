// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import type { ServerNow } from '../api';
import { goneSays, whenItAsks, whenItRuns } from './outlook';

const now = new Date(2026, 10, 12, 21, 5);
const server = (change: Partial<ServerNow> = {}): ServerNow => ({
  id: 1,
  name: 'PACS-A',
  in_force: { batch: 4, interactive: 2 },
  batch_in_use: 0,
  interactive_in_use: 0,
  paused: false,
  window: 1,
  now: now.toISOString(),
  time_zone: 'Europe/Berlin',
  until: new Date(2026, 10, 13, 6, 0).toISOString(),
  ...change,
});
const says = (change: Partial<ServerNow>, destination?: ServerNow) =>
  whenItRuns(server(change), destination, now).says;

describe('when it runs', () => {
  test('at once', () => {
    expect(says({})).toBe('Transfers start at once: PACS-A takes 4 at a time until 06:00.');
    expect(says({ until: undefined })).toBe('Transfers start at once: PACS-A takes 4 at a time.');
    expect(says({ takes: 1 })).toBe(
      'Transfers start at once: PACS-A takes 1 of 4 at a time now, since it refused more.',
    );
    expect(says({ batch_in_use: 4 })).toBe(
      'PACS-A is busy with other transfers, 4 at a time; this one takes its turn.',
    );
  });
  test('later', () => {
    const closed = { in_force: { batch: 0, interactive: 2 } };
    expect(says({ ...closed, opens: new Date(2026, 10, 13, 20).toISOString() })).toBe(
      'PACS-A is closed for jobs until 20:00; the transfer waits.',
    );
    expect(says({ ...closed, opens: new Date(2026, 10, 16, 20).toISOString() })).toBe(
      'PACS-A is closed for jobs until 2026-11-16 20:00; the transfer waits.',
    );
    expect(says(closed)).toBe(
      'PACS-A is closed for jobs, and no opening time is planned; the transfer waits.',
    );
    expect(says({ paused: true })).toBe('PACS-A is paused by staff; the transfer waits.');
    expect(says({ down: 'No connection.' })).toBe('PACS-A is not reachable now; the transfer waits.');
    expect(says({ takes: 0 })).toBe('PACS-A refuses jobs now; the transfer waits.');
    expect(says({}, server({ name: 'RESEARCH', paused: true }))).toBe(
      'RESEARCH is paused by staff; the transfer waits.',
    );
  });
});

test('when a batch query runs', () => {
  const asks = (...servers: ServerNow[]) => whenItAsks(servers, now)?.says;
  const archive = { name: 'ARCHIVE', paused: true };
  expect(asks()).toBeUndefined();
  expect(asks(server())).toBe('PACS-A is asked at once, 4 rows at a time until 06:00.');
  expect(asks(server(), server({ name: 'ARCHIVE' }))).toBe('All of them are asked at once.');
  expect(asks(server(), server(archive))).toBe('ARCHIVE is paused by staff; the query waits.');
});

test('what is gone', () => {
  expect(goneSays()).toBe('');
  expect(goneSays('PACS-A', '')).toMatch(/^PACS-A is not there any more/);
  expect(goneSays('', 'RESEARCH')).toMatch(/^RESEARCH is not there/);
  expect(goneSays('PACS-A', 'RESEARCH')).toMatch(/^PACS-A and RESEARCH are not there/);
  expect(goneSays('BOTH', 'BOTH')).toMatch(/^BOTH is not there/);
});
