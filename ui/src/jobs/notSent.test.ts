// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { notSent, notSentSays } from './notSent';

const ruled = { reason: 'burned-in', instances: 14, studies: 6, first: 10 };
const unsafe = { reason: 'undecodable-text', unsafe: true, instances: 2, studies: 1, first: 12 };

test('what was not sent', () => {
  expect(notSent({ held_back: [ruled, unsafe], excluded: { SR: 3, KO: 0 } })).toEqual({
    byRule: 17,
    unsafe: 2,
    uncounted: ['KO'],
    more: false,
  });
});

test.each([
  [{ held_back: [], excluded: {} }, ''],
  [{ held_back: [ruled], excluded: {} }, '14 images were left out by rule.'],
  [
    { held_back: [ruled], held_back_truncated: true, excluded: {} },
    '14 images were left out by rule, or more.',
  ],
  [{ held_back: [unsafe], excluded: {} }, '2 images could not be de-identified.'],
  [{ held_back: [], excluded: { SR: 1 } }, '1 image was left out by rule.'],
  [{ held_back: [], excluded: { SR: 0, KO: 0 } }, 'Series of SR, KO were left out by rule.'],
  [
    { held_back: [ruled, unsafe], excluded: { KO: 0 } },
    '14 images were left out by rule, series of KO were left out by rule, and 2 images could not be de-identified.',
  ],
])('is said: %#', (sum, says) => {
  expect(notSentSays(sum)).toBe(says);
});
