// SPDX-License-Identifier: AGPL-3.0-or-later

import { afterEach, expect, test, vi } from 'vitest';

import { answer, asked, gated, guard } from './gate';

const reply = (status: number, body: unknown = {}) => new Response(JSON.stringify(body), { status });
const flush = () => new Promise((r) => setTimeout(r, 0));
const address = 'http://adit.test/api/v1/jobs';

afterEach(() => {
  answer('login', true);
  answer('confirm', false);
});

test('before anybody was logged in, nothing is held up', async () => {
  vi.stubGlobal(
    'fetch',
    vi.fn(() => Promise.resolve(reply(401))),
  );
  expect((await gated(address)).status).toBe(401);
  expect(asked()).toBeNull();
});

test('a request whose session has ended waits for the login, and is sent again with its body', async () => {
  guard();
  const fetch = vi.fn<(r: Request) => Promise<Response>>();
  fetch.mockResolvedValueOnce(reply(401)).mockResolvedValueOnce(reply(201));
  vi.stubGlobal('fetch', fetch);
  const made = gated(address, { method: 'POST', body: '{"kind":"selective_transfer"}' });
  await flush();
  expect(asked()).toBe('login');
  answer('login', true);
  expect((await made).status).toBe(201);
  const again = fetch.mock.calls[1]?.[0];
  expect(await again?.text()).toBe('{"kind":"selective_transfer"}');
  expect(asked()).toBeNull();
});

test('what takes the password waits for it; whoever gives none gets the refusal', async () => {
  guard();
  vi.stubGlobal(
    'fetch',
    vi.fn(() => Promise.resolve(reply(403, { code: 'password_needed' }))),
  );
  const made = gated(address, { method: 'POST' });
  await flush();
  expect(asked()).toBe('confirm');
  answer('confirm', false);
  expect((await made).status).toBe(403);
});

test('a refusal of another kind comes through, and so does a wrong password', async () => {
  guard();
  vi.stubGlobal(
    'fetch',
    vi.fn(() => Promise.resolve(reply(403, { code: 'forbidden' }))),
  );
  expect((await gated(address)).status).toBe(403);
  vi.stubGlobal(
    'fetch',
    vi.fn(() => Promise.resolve(reply(401))),
  );
  expect((await gated('http://adit.test/api/v1/session', { method: 'POST' })).status).toBe(401);
});
