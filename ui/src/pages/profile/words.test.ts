// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import type { Me, Token } from '../../api';
import { changes, curl, ends, lifetimes, personOf } from './words';

const me = { username: 'researcher', mail: 'researcher@example.org', department: 'Radiology' } as Me;

test('only what is otherwise than before is sent; what was emptied is sent as empty', () => {
  const form = personOf(me);
  expect(changes(me, form)).toEqual({});
  expect(changes(me, { ...form, phone: ' 12 ', department: '', mail: ` ${form.mail} ` })).toEqual({
    phone: '12',
    department: '',
  });
});

test('a token for ever is offered to those who may make one', () => {
  expect(lifetimes(false).map((l) => l.value)).toEqual(['24h', '7d', '30d', '90d']);
  expect(lifetimes(true).map((l) => l.value)).toContain('never');
});

test('when a token ends', () => {
  const now = new Date(2026, 10, 23, 12, 0);
  const token = (expires_at?: Date) => ({ expires_at: expires_at?.toISOString() }) as Token;
  expect(ends(token(), now)).toBe('never');
  expect(ends(token(new Date(2026, 10, 24, 8, 30)), now)).toBe('tomorrow 08:30');
  expect(ends(token(new Date(2026, 10, 22, 8, 30)), now)).toBe('expired yesterday 08:30');
});

test('the example does not hold the token', () => {
  expect(curl('https://adit.example.org')).toBe(
    'curl -H "Authorization: Bearer $ADIT_TOKEN" https://adit.example.org/api/v1/me',
  );
});
