// SPDX-License-Identifier: AGPL-3.0-or-later

import type { LiveEvent } from '../api/gen';

// An answer of REST that was read before an event may come after it, and would undo it; and nothing tells the same news
// twice. So what events tell is kept while answers are on their way, and holds instead of what they say of the same
// thing. Where an answer was the newer one after all, the event that tells so is on its way, too.

const most = 5000; // things of which news are kept

const told = new Map<string, { at: number; value: unknown }>();
let at = 0;
let waiting = 0;

/** hear takes note of an event. */
export function hear(event: LiveEvent): void {
  if (waiting === 0) return;
  at++;
  for (const job of event.jobs ?? []) keep(`job:${job.id}`, job);
  for (const task of event.tasks ?? []) keep(`task:${task.id}`, task);
  if (event.job) keep(`job:${event.job.id}`, event.job);
  if (event.task) keep(`task:${event.task.id}`, event.task);
  if (event.me) keep('me', event.me);
  if (event.servers) keep('servers', event.servers);
}

function keep(topic: string, value: unknown): void {
  told.delete(topic); // what was told last is forgotten last
  told.set(topic, { at, value });
  for (const oldest of told.keys()) {
    if (told.size <= most) break;
    told.delete(oldest);
  }
}

/** Newest gives what holds of the thing that a topic is about: what an answer says, or the news since it was asked for. */
export type Newest = <T>(topic: string, answer: T) => T;

/** ask asks for something, be it by doing something; take gives what holds of the answer. */
export async function ask<T>(
  send: () => Promise<{ data: T }>,
  take: (data: T, newest: Newest) => T,
): Promise<T> {
  const asked = at;
  waiting++;
  try {
    const { data } = await send();
    return take(data, (topic, answer) => {
      const news = told.get(topic);
      return news && news.at > asked ? (news.value as typeof answer) : answer;
    });
  } finally {
    if (--waiting === 0) told.clear();
  }
}
