// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import {
  cleared,
  counting,
  filterOf,
  narrowings,
  numberOf,
  sortedAnew,
  sortOf,
  statusesOf,
  toggled,
} from './filters';

describe('from the address', () => {
  test('nothing: own jobs, newest first', () => {
    expect(filterOf({}, true)).toEqual({ mine: 'true', sort: '-id' });
  });
  test('everything', () => {
    const search = {
      all: true as const,
      status: 'failure,warning',
      kind: 'selective_transfer',
      source: 'PACS-A',
      destination: 'RESEARCH',
      project: 'lung-screening',
      sort: 'status',
    };
    expect(filterOf(search, true)).toEqual({
      mine: undefined,
      status: ['warning', 'failure'],
      kind: 'selective_transfer',
      source: 'PACS-A',
      destination: 'RESEARCH',
      project: 'lung-screening',
      sort: 'status',
    });
    expect(filterOf(search, false).mine).toBe('true');
    expect(counting(filterOf(search, true))).not.toHaveProperty('status');
  });
  test('what ADIT does not know is left out', () => {
    const search = { status: 'broken,success', kind: 'teleport', sort: 'owner' };
    expect(filterOf(search, false)).toEqual({ mine: 'true', status: ['success'], sort: '-id' });
  });
});

describe('to the address', () => {
  test('statuses', () => {
    const one = toggled({ all: true }, 'failure');
    expect(one).toEqual({ all: true, status: 'failure' });
    expect(statusesOf(toggled(one, 'warning'))).toEqual(['warning', 'failure']);
    expect(toggled(one, 'failure').status).toBeUndefined();
  });
  test('order', () => {
    const order = (s: object) => sortOf(s);
    const oldest = sortedAnew({}, 'id');
    expect([order(oldest), order(sortedAnew(oldest, 'id'))]).toEqual(['id', '-id']);
    const byStatus = sortedAnew({}, 'status');
    expect([order(byStatus), order(sortedAnew(byStatus, 'status'))]).toEqual(['status', '-status']);
    expect(order(sortedAnew(byStatus, 'id'))).toBe('-id');
  });
  test('clear', () => {
    const search = { all: true as const, status: 'failure', source: 'PACS-A', sort: 'id' };
    expect(narrowings(search)).toEqual([{ by: 'source', words: 'From PACS-A' }]);
    expect(cleared(search)).toEqual({ all: true, sort: 'id' });
  });
});

test('numbers of jobs', () => {
  expect(['1204', ' #1204', 'Job 1204', '1,204', '0012', '', '0', 'PACS', '12a'].map(numberOf)).toEqual([
    '1204',
    '1204',
    '1204',
    '1204',
    '12',
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
