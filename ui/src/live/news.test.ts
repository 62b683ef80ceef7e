// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { fakeJob, fakeMe } from '../jobs/job.fake';
import { ask, hear, type Newest } from './news';

/** under asks for something whose answer comes when the test says so. */
function under<T>(take: (data: T, newest: Newest) => T) {
  let come: (data: T) => void = () => undefined;
  const answer = ask(() => new Promise<{ data: T }>((done) => (come = (data) => done({ data }))), take);
  return { answer, comes: (data: T) => come(data) };
}

const old = fakeJob({ id: 7, status: 'pending' });
const done = fakeJob({ id: 7, status: 'success' });
const job = () => under((answer: typeof old, newest) => newest(`job:${answer.id}`, answer));

test.each([
  ['the job itself', { topic: 'job:7', job: done }],
  ['a job in the list', { topic: 'jobs', jobs: [fakeJob({ id: 8 }), done] }],
])('what an event told of %s holds, not an answer that was read before', async (_, event) => {
  const asked = job();
  hear(event);
  asked.comes(old);
  expect(await asked.answer).toBe(done);
});

test('of several events the last one holds', async () => {
  const asked = job();
  hear({ topic: 'job:7', job: fakeJob({ id: 7, status: 'in_progress' }) });
  hear({ topic: 'job:7', job: done });
  asked.comes(old);
  expect(await asked.answer).toBe(done);
});

test('an answer holds that was asked for after the event', async () => {
  const first = job(); // has news kept
  hear({ topic: 'job:7', job: old });
  const second = job();
  second.comes(done);
  expect(await second.answer).toBe(done);
  first.comes(done);
  expect(await first.answer).toBe(old); // the event that tells of the end is on its way
});

test('an answer holds of what nothing was told', async () => {
  const asked = job();
  hear({ topic: 'job:8', job: fakeJob({ id: 8, status: 'failure' }) });
  hear({ topic: 'me', me: fakeMe() });
  asked.comes(old);
  expect(await asked.answer).toBe(old);
});

test('nothing is kept once all answers are there, be they refusals', async () => {
  const refused = ask(
    () => Promise.reject<{ data: typeof old }>(new Error('refused')),
    (answer) => answer,
  );
  hear({ topic: 'job:7', job: done });
  await expect(refused).rejects.toThrow('refused');
  const asked = job();
  asked.comes(old);
  expect(await asked.answer).toBe(old);
});
