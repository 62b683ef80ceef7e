// SPDX-License-Identifier: AGPL-3.0-or-later

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { LiveEvent } from '../api/gen';
import { Live } from './socket';

class Fake {
  static readonly all: Fake[] = [];
  readyState: number = WebSocket.CONNECTING;
  sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((m: { data: string }) => void) | null = null;
  onclose: ((c: { code: number }) => void) | null = null;
  constructor() {
    Fake.all.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = WebSocket.CLOSED;
  }
  opens() {
    this.readyState = WebSocket.OPEN;
    this.onopen?.();
  }
  says(event: LiveEvent) {
    this.onmessage?.({ data: JSON.stringify(event) });
  }
  ends(code = 1006) {
    this.readyState = WebSocket.CLOSED;
    this.onclose?.({ code });
  }
}

const last = () => {
  const socket = Fake.all.at(-1);
  if (!socket) throw new Error('nothing was opened');
  return socket;
};

let live: Live;
const refused = vi.fn();

beforeEach(() => {
  vi.useFakeTimers();
  Fake.all.length = 0;
  refused.mockReset();
  live = new Live('ws://adit/api/v1/live', {
    open: () => new Fake() as unknown as WebSocket,
    chance: () => 1,
    refused,
  });
  live.start();
});

afterEach(() => {
  live.stop();
  vi.useRealTimers();
});

test('a topic is asked for once, however many listen, and no longer than somebody does', () => {
  last().opens();
  const heard: LiveEvent[] = [];
  const first = live.subscribe('jobs', (e) => heard.push(e));
  const second = live.subscribe('jobs', (e) => heard.push(e));
  expect(last().sent).toEqual([{ subscribe: ['jobs'] }]);
  last().says({ topic: 'jobs', jobs: [] });
  expect(heard).toHaveLength(2);
  first();
  expect(last().sent).toHaveLength(1);
  second();
  expect(last().sent.at(-1)).toEqual({ unsubscribe: ['jobs'] });
});

test('after a loss it connects again by itself, and asks for all topics anew', () => {
  live.subscribe('job:7', () => undefined);
  last().opens();
  expect(live.now().live).toBe(true);
  last().ends();
  expect(live.now()).toEqual({ live: false, lost: expect.any(Date) as Date });
  vi.advanceTimersByTime(500);
  expect(Fake.all).toHaveLength(2);
  last().ends();
  vi.advanceTimersByTime(999);
  expect(Fake.all).toHaveLength(2); // pauses grow
  vi.advanceTimersByTime(1);
  last().opens();
  expect(last().sent).toEqual([{ subscribe: ['job:7'] }]);
  expect(live.now()).toEqual({ live: true, lost: undefined });
});

test('without any event for 45 seconds the connection counts as lost', () => {
  last().opens();
  vi.advanceTimersByTime(44_000);
  last().says({ heartbeat: '2026-11-30T10:00:00Z' });
  vi.advanceTimersByTime(44_000);
  expect(live.now().live).toBe(true);
  vi.advanceTimersByTime(1_000);
  expect(live.now().live).toBe(false);
});

test('a search ends with its connection, and says so', () => {
  last().opens();
  const heard: LiveEvent[] = [];
  live.search({ server: 'PACS-A', studies: { modality: 'CT' } }, (e) => heard.push(e));
  expect(last().sent).toEqual([{ search: { id: 's1', server: 'PACS-A', studies: { modality: 'CT' } } }]);
  last().says({ topic: 'search:s1', found: { count: 1 } });
  last().ends();
  expect(heard.map((e) => e.ended?.code)).toEqual([undefined, 'unreachable']);
  vi.advanceTimersByTime(500);
  last().opens();
  expect(last().sent).toEqual([]);
});

test('a search that is stopped is ended at the server; one that has ended is not', () => {
  last().opens();
  const stop = live.search({ server: 'PACS-A' }, () => undefined);
  stop();
  expect(last().sent.at(-1)).toEqual({ unsubscribe: ['search:s1'] });
  const late = live.search({ server: 'PACS-A' }, () => undefined);
  last().says({ topic: 'search:s2', found: { count: 0, done: true } });
  late();
  expect(last().sent).toHaveLength(3);
});

test('a search without a connection fails at once', async () => {
  const heard: LiveEvent[] = [];
  live.search({ server: 'PACS-A' }, (e) => heard.push(e));
  await Promise.resolve();
  expect(heard[0]?.ended?.code).toBe('unreachable');
});

test('an ended session, or a refused connection, is looked into', () => {
  last().opens();
  last().ends(1006);
  expect(refused).not.toHaveBeenCalled();
  vi.advanceTimersByTime(500);
  last().ends(1006); // it never opened
  expect(refused).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(2_000);
  last().opens();
  last().ends(4401);
  expect(refused).toHaveBeenCalledTimes(2);
});
