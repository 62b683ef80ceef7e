// SPDX-License-Identifier: AGPL-3.0-or-later

import { QueryObserver } from '@tanstack/react-query';
import { afterEach, expect, test, vi } from 'vitest';

import { askAgain, queries } from './queries';

afterEach(() => queries.clear());

/** shown is a query that is shown, each of whose answers comes when the test says so. */
function shown(key: string[]) {
  const answers: ((answer: string | Error) => void)[] = [];
  const observer = new QueryObserver<string>(queries, {
    queryKey: key,
    queryFn: () =>
      new Promise((give, refuse) =>
        answers.push((answer) => (answer instanceof Error ? refuse(answer) : give(answer))),
      ),
    retry: false,
  });
  observer.subscribe(() => undefined);
  return { answers, now: () => observer.getCurrentResult().data };
}

test.each([
  ['first answer', ['old']],
  ['later answer', ['older', 'old']],
  ['refusal', [new Error('not now')]],
])('what happens while the %s is on its way is asked for once it has come', async (_, before) => {
  const query = shown(['tasks', '7']);
  for (const answer of before.slice(0, -1)) {
    query.answers.at(-1)?.(answer);
    await vi.waitFor(() => expect(query.now()).toBe(answer));
    askAgain({ queryKey: ['tasks'] });
  }
  const asked = before.length;
  expect(query.answers).toHaveLength(asked);
  askAgain({ queryKey: ['tasks'] });
  askAgain({ queryKey: ['tasks'] });
  expect(query.answers, 'never two at a time').toHaveLength(asked);
  query.answers.at(-1)?.(before.at(-1) ?? '');
  await vi.waitFor(() => expect(query.answers).toHaveLength(asked + 1));
  query.answers.at(-1)?.('new');
  await vi.waitFor(() => expect(query.now()).toBe('new'));
  expect(query.answers, 'once is enough').toHaveLength(asked + 1);
});

test('what was set meanwhile is no answer', async () => {
  const query = shown(['job', '7']);
  askAgain({ queryKey: ['job'] });
  queries.setQueryData(['job', '7'], 'set');
  expect(query.answers).toHaveLength(1);
  query.answers[0]?.('old');
  await vi.waitFor(() => expect(query.answers).toHaveLength(2));
});

test('other queries are left alone', async () => {
  const query = shown(['nodes']);
  askAgain({ queryKey: ['jobs'] });
  query.answers[0]?.('all');
  await vi.waitFor(() => expect(query.now()).toBe('all'));
  expect(query.answers).toHaveLength(1);
});
