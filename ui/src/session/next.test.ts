// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { pageAfterLogin } from './next';

test.each([
  [undefined, '/'],
  ['/jobs/12?status=failure#x', '/jobs/12?status=failure#x'],
  ['/logins', '/logins'],
  ['/login', '/'],
  ['/login?next=/login', '/'],
  ['/./login', '/'],
  ['/register', '/'],
  ['/reset#code', '/'],
  ['//elsewhere.example', '/'],
  ['/\\elsewhere.example', '/'],
  ['/\t/elsewhere.example', '/'],
  ['https://elsewhere.example', '/'],
  ['jobs', '/'],
])('after the login with %j comes %s', (next, page) => {
  expect(pageAfterLogin(next)).toBe(page);
});
