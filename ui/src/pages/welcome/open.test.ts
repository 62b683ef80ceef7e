// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import type { Group, Node, Supports } from '../../api';
import { equal, named, possible, toChange, usesNow } from './open';

const server = (name: string, supports: Supports) =>
  ({ id: 1, kind: 'server', name, server: { supports } }) as Node;
const folder = { id: 2, kind: 'folder', name: 'disk' } as Node;
const pacs = server('PACS-A', { study_root_find: true, study_root_get: true });
const group: Group = { id: 1, name: 'Radiology', permissions: [], members: 0 };
const both = { source: true, destination: true };

test('a server is a source if it can be searched and read, a destination if it stores', () => {
  expect(possible(pacs)).toEqual({ source: true, destination: false });
  expect(possible(server('S', { study_root_find: true }))).toEqual({ source: false, destination: false });
  expect(possible(server('S', { patient_root_find: true, patient_root_move: true, store: true }))).toEqual(
    both,
  );
  expect(possible(server('S', { store: true }))).toEqual({ source: false, destination: true });
  expect(possible(server('S', { qido: true, study_root_get: true }))).toEqual({
    source: true,
    destination: false,
  });
  expect(possible(server('S', { study_root_find: true, wado: true, stow: true }))).toEqual(both);
  expect(possible(server('S', { wado: true, stow: true }))).toEqual({ source: false, destination: true });
  expect(possible(folder)).toEqual({ source: false, destination: true });
});

test('a new group is offered everything; one that is there keeps what it has, and is offered what is new', () => {
  const nodes = [pacs, folder];
  const access = [{ group: 'Radiology', node: 'disk', source: false, destination: true }];
  expect(usesNow(undefined, nodes, access, [])).toEqual({
    'PACS-A': { source: true, destination: false },
    disk: { source: false, destination: true },
  });
  const closed = { source: false, destination: false };
  expect(usesNow(group, nodes, access, [])['PACS-A']).toEqual(closed);
  expect(usesNow(group, nodes, access, ['PACS-A'])['PACS-A']).toEqual({ source: true, destination: false });
  expect(usesNow(group, nodes, access, []).disk).toEqual({ source: false, destination: true });
});

test('only what differs is changed', () => {
  const access = [{ group: 'Radiology', node: 'A', source: true, destination: false }];
  const uses = { A: { source: true, destination: false }, B: both, C: { source: false, destination: false } };
  expect(toChange(group, uses, access)).toEqual({ B: both });
  expect(toChange(undefined, uses, access)).toEqual({ A: uses.A, B: both });
  const less = { A: { source: false, destination: false } };
  expect(toChange(group, less, access)).toEqual(less);
});

test('names of groups are found in any case; lists are equal in any order', () => {
  expect(named([group], ' RADIOLOGY ')).toBe(group);
  expect(named([group], 'Radio')).toBeUndefined();
  expect(equal(['a', 'b'], ['b', 'a'])).toBe(true);
  expect(equal(['a'], ['a', 'b'])).toBe(false);
});
