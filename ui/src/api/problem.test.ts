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

test('a field is called as in its form, and nothing is told twice', () => {
  const p = problemOf({
    ...refused,
    detail: 'patient_name: a name has no "*" here.',
    errors: [
      { field: 'patient_name', message: 'a name has no "*" here' },
      { field: 'row 3, Pseudonym', message: 'is given twice' },
    ],
  });
  expect(p.message).toBe('Patient name: a name has no "*" here.');
  expect(p.more()).toEqual(['Row 3, Pseudonym: is given twice']);
});

test('a lock is no fault', () => {
  expect(problemOf({ ...refused, code: 'locked' }).calm).toBe(true);
  expect(problemOf(refused).calm).toBe(false);
});

test('what stands beside no field of a form is told elsewhere', () => {
  const p = problemOf(refused);
  expect(p.besides('name', 'path')).toBeNull();
  expect(p.besides('name')).toBe(p);
  const conflict = problemOf({ ...refused, status: 409, code: 'conflict', errors: undefined });
  expect(conflict.besides('name', 'path')).toBe(conflict);
});
