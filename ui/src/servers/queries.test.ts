// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import type { HourMoved, HourOfUse } from '../api';
import { imagesByHour, latelySays } from './queries';

const moved = (instances: number): HourMoved => ({ studies: 1, instances, bytes: 1 });
const hour = (at: string, from: number, to: number): HourOfUse => ({
  hour: at,
  batch_average: 1,
  batch_most: 1,
  interactive_average: 0,
  interactive_most: 0,
  from: moved(from),
  to: moved(to),
});

test('images by hour', () => {
  const images = imagesByHour({
    from: '2026-11-12T18:00:00Z',
    to: '2026-11-12T22:00:00Z',
    hours: [hour('2026-11-12T18:00:00Z', 1200, 0), hour('2026-11-12T20:00:00Z', 30, 4)],
  });
  expect(images, 'hours in which ADIT did not run').toEqual([1200, 0, 34, 0]);
  expect(latelySays(images)).toBe('1,234 images in 4 hours, at most 1,200 in one');
});
