// SPDX-License-Identifier: AGPL-3.0-or-later

/**
 * What stands between a request and its answer: the login that has ended, and the password that has to be given again.
 * A request that is held up by one of them waits until the person has answered, and is then sent once more, so that
 * nothing of a form is lost.
 */
export type Ask = 'login' | 'confirm';

type Waiting = { ask: Ask; settle: (done: boolean) => void };

let waiting: Waiting[] = [];
let guarding = false; // before the login there is none to ask for again
const listeners = new Set<() => void>();

/** guard has requests wait for the person from now on. */
export function guard(): void {
  guarding = true;
}

/** asked tells what the person has to answer now, for useSyncExternalStore. */
export function asked(): Ask | null {
  if (waiting.some((w) => w.ask === 'login')) return 'login';
  return waiting.length > 0 ? 'confirm' : null;
}

export function onAsked(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed(): void {
  for (const listener of listeners) listener();
}

/** answer lets the requests go on that waited for it, or has them fail. */
export function answer(ask: Ask, done: boolean): void {
  const now = waiting.filter((w) => w.ask === ask);
  waiting = waiting.filter((w) => w.ask !== ask);
  changed();
  for (const w of now) w.settle(done);
}

function held(ask: Ask): Promise<boolean> {
  return new Promise((settle) => {
    waiting.push({ ask, settle });
    changed();
  });
}

// These tell by 401 that what was typed is wrong, or what everybody knows: nobody is logged in.
const open = /\/api\/v1\/(session(:confirm)?|password-resets(:use)?|registrations)$/;

/** gated is fetch for the API. */
export async function gated(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  for (;;) {
    const response = await fetch(request.clone());
    const ask = await heldUp(request, response);
    if (!ask || !(await held(ask))) return response;
  }
}

async function heldUp(request: Request, response: Response): Promise<Ask | null> {
  if (!guarding || open.test(new URL(request.url).pathname)) return null;
  if (response.status === 401) return 'login';
  if (response.status !== 403) return null;
  const body = (await response
    .clone()
    .json()
    .catch(() => null)) as { code?: string } | null;
  return body?.code === 'password_needed' ? 'confirm' : null;
}
