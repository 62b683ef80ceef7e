// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { pseudonymsDiffer } from './pseudonyms';

test('a file that does not have the pseudonyms that were chosen', () => {
  const [plain, given] = [['PatientID'], ['PatientID', 'Pseudonym']];
  expect(pseudonymsDiffer('project', plain, true)).toBe('');
  expect(pseudonymsDiffer('project', given, true)).toBe('');
  expect(pseudonymsDiffer('file', given, true)).toBe('');
  expect(pseudonymsDiffer('file', plain, true)).toMatch(/has no column Pseudonym/);
  expect(pseudonymsDiffer('file', plain, false)).toBe(''); // the server names each row
  expect(pseudonymsDiffer('none', plain, true)).toBe('');
  expect(pseudonymsDiffer('none', given, true)).toMatch(/gives pseudonyms/);
});
