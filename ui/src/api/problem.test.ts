// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { problemOf } from './problem';

// As the server writes it.
const refused = {
  type: 'urn:adit:problem:invalid',
  status: 422,
  detail: 'path: there is no folder /srv/x; create it.',
  code: 'invalid',
  errors: [{ field: 'path', message: 'there is no folder /srv/x; create it' }],
};

test('what is wrong with a field is told beside it, as a sentence', () => {
  const p = problemOf(refused);
  expect(p.of('path')).toBe('There is no folder /srv/x; create it.');
  expect(p.of('name')).toBe('');
});

test('what stands beside no field of a form is told elsewhere', () => {
  const p = problemOf(refused);
  expect(p.besides('name', 'path')).toBeNull();
  expect(p.besides('name')).toBe(p);
  const conflict = problemOf({ ...refused, status: 409, code: 'conflict', errors: undefined });
  expect(conflict.besides('name', 'path')).toBe(conflict);
});
