// SPDX-License-Identifier: AGPL-3.0-or-later

import { act, renderHook } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { endedTitle, endedWords, jobEnded, toldOf, useTelling } from './endings';
import { fakeJob } from './job.fake';

const job = fakeJob({ status: 'success', tasks: { success: 500 } });
const says = vi.fn();

const fakeNotification = Object.assign(
  function (title: string, options: NotificationOptions) {
    says(title, options.body);
  },
  { permission: 'granted', requestPermission: () => Promise.resolve('granted') },
);

beforeEach(() => {
  says.mockReset();
  fakeNotification.permission = 'granted';
  vi.stubGlobal('Notification', fakeNotification);
  vi.stubGlobal('fetch', () => Promise.resolve(new Response('<svg></svg>')));
  document.head.innerHTML = '<link rel="icon" href="/favicon.svg">';
  document.title = 'Jobs – ADIT';
});
afterEach(() => {
  dispatchEvent(new Event('focus'));
  vi.unstubAllGlobals();
});

const icon = () => document.querySelector('link')?.getAttribute('href');

test('words', () => {
  expect(endedTitle(job)).toBe('● Job 1204: Success – ADIT');
  expect(endedWords(job)).toBe('Job 1204 has ended: Success, 500 studies.');
});

test('the tab tells until somebody looks', async () => {
  vi.spyOn(document, 'hasFocus').mockReturnValue(false);
  jobEnded(job, false, () => undefined);
  expect(document.title).toBe('● Job 1204: Success – ADIT');
  await vi.waitFor(() => expect(icon()).toMatch(/^data:image.*circle/));
  jobEnded(fakeJob({ id: 1205, status: 'failure' }), false, () => undefined);
  expect(document.title).toBe('● Job 1205: Failure – ADIT');
  dispatchEvent(new Event('focus'));
  expect([document.title, icon()]).toEqual(['Jobs – ADIT', '/favicon.svg']);
  expect(says).not.toHaveBeenCalled();
});

test('who looks is not told', () => {
  vi.spyOn(document, 'hasFocus').mockReturnValue(true);
  jobEnded(job, true, () => undefined);
  expect(document.title).toBe('Jobs – ADIT');
  expect(says).not.toHaveBeenCalled();
});

test('the browser tells who wants it', () => {
  vi.spyOn(document, 'hasFocus').mockReturnValue(false);
  jobEnded(job, true, () => undefined);
  expect(says.mock.calls).toEqual([['ADIT', 'Job 1204 has ended: Success, 500 studies.']]);
  fakeNotification.permission = 'denied';
  jobEnded(job, true, () => undefined);
  expect(says).toHaveBeenCalledTimes(1);
});

test('who asked to be told of a job is told once, even while looking', async () => {
  vi.spyOn(document, 'hasFocus').mockReturnValue(true);
  const telling = renderHook(() => useTelling(job.id));
  await act(async () => {
    telling.result.current.toggle();
    await Promise.resolve();
  });
  expect(telling.result.current.on).toBe(true);
  act(() => jobEnded(job, false, () => undefined));
  act(() => jobEnded(job, false, () => undefined));
  expect(says.mock.calls).toEqual([['ADIT', 'Job 1204 has ended: Success, 500 studies.']]);
  expect([telling.result.current.on, toldOf().size]).toEqual([false, 0]);
});
