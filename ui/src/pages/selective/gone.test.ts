// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { goneSays } from './sentences';

test('what is gone', () => {
  expect(goneSays()).toBe('');
  expect(goneSays('PACS-A', '')).toMatch(/^PACS-A is not there any more/);
  expect(goneSays('', 'RESEARCH')).toMatch(/^RESEARCH is not there/);
  expect(goneSays('PACS-A', 'RESEARCH')).toMatch(/^PACS-A and RESEARCH are not there/);
  expect(goneSays('BOTH', 'BOTH')).toMatch(/^BOTH is not there/);
});
