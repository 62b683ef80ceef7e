// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import type { QueryResult } from '../../api';
import { fakeMe } from '../../jobs/job.fake';
import { fileOf, filtered, pickedSays, selectionOf, sourcesIn, wayOf } from './results';

let ids = 0;
const result = (change: Partial<QueryResult> = {}): QueryResult => ({
  id: ++ids,
  job_id: 7,
  task_id: 13,
  source: 'PACS-A',
  row: 2,
  patient_id: 'PHANTOM-001',
  patient_name: 'Phantom^Alpha',
  patient_birth_date: '19500101',
  accession_number: 'DEMO-0126',
  study_instance_uid: '1.2.3',
  study_date: '20260929',
  study_time: '120535',
  study_description: 'CT chest',
  modalities: ['CT'],
  extra: [],
  ...change,
});

test('filters', () => {
  const list = [
    result(),
    result({ row: 3, source: 'ARCHIVE', patient_name: 'Phäntom^Bêta', study_description: 'MR head' }),
    result({ row: 3, extra: ['Cohort B'] }),
  ];
  const at = (filter: Parameters<typeof filtered>[1]) => filtered(list, filter).map((r) => list.indexOf(r));
  expect(filtered(list, { text: ' ' })).toBe(list);
  expect(at({ text: 'bêta' })).toEqual([1]);
  expect(at({ text: 'CHEST phantom' })).toEqual([0, 2]);
  expect(at({ text: '2026-09-29 head' })).toEqual([1]);
  expect(at({ text: 'cohort' })).toEqual([2]);
  expect(at({ text: '', row: 3 })).toEqual([1, 2]);
  expect(at({ text: '', row: 3, source: 'PACS-A' })).toEqual([2]);
  expect(sourcesIn(list)).toEqual([
    ['ARCHIVE', 1],
    ['PACS-A', 2],
  ]);
});

describe('what is picked', () => {
  const series = (n: number, more: Partial<QueryResult> = {}) =>
    result({ series_instance_uid: `1.2.3.${n}`, series_number: n, instances: 5, ...more });
  test('as a selection', () => {
    const selection = selectionOf([series(1), series(2), result({ study_instance_uid: '1.9' })]);
    const picked = selection.get('1.2.3')?.series;
    expect(picked === 'all' || [...(picked?.keys() ?? [])]).toEqual(['1.2.3.1', '1.2.3.2']);
    expect(selection.get('1.9')?.series).toBe('all');
    expect(selectionOf([series(1), result()]).get('1.2.3')?.series).toBe('all');
    expect(selectionOf([result(), series(1)]).get('1.2.3')?.series).toBe('all');
  });
  test('as a file', () => {
    expect(fileOf([result(), result({ row: 9 })])).toBe(
      'PatientID,StudyInstanceUID\r\n"\'PHANTOM-001","\'1.2.3"\r\n',
    );
    const file = fileOf([series(1, { pseudonym: 'SUBJ-1' }), result({ patient_id: '=1+"1"' })]);
    expect(file.split('\r\n')).toEqual([
      'PatientID,StudyInstanceUID,SeriesInstanceUID,Pseudonym',
      '"\'PHANTOM-001","\'1.2.3","\'1.2.3.1","\'SUBJ-1"',
      '"\'=1+""1""","\'1.2.3",,',
      '',
    ]);
  });
  test('in words', () => {
    expect(pickedSays([result()])).toBe('1 study picked');
    expect(pickedSays([series(1), series(2)])).toBe('2 results of 1 study picked');
  });
  test('goes as a selection, a file, or not at all', () => {
    const me = (...permissions: string[]) => fakeMe({ permissions });
    const many = Array.from({ length: 11 }, (_, i) => result({ study_instance_uid: `1.${i}` }));
    const both = me('selective_transfer', 'batch_transfer');
    expect(wayOf([result()], both, 10)).toEqual({ by: 'selective', says: '' });
    expect(wayOf(many, both, 10).by).toBe('batch');
    expect(wayOf(many, fakeMe({ permissions: both.permissions, is_staff: true }), 10).by).toBe('selective');
    expect(wayOf([result({ pseudonym: 'SUBJ-1' })], both, 10).by).toBe('batch');
    expect(wayOf([result({ pseudonym: 'SUBJ-1' })], me('selective_transfer'), 10)).toEqual({
      by: 'selective',
      says: 'The pseudonyms of the file do not go along.',
    });
    expect(wayOf(many, me('selective_transfer'), 10).says).toMatch(/^11 studies are picked, but only 10/);
    expect(wayOf([result()], me('batch_query'), 10).says).toMatch(/no right to transfer/);
    expect(wayOf([result(), result({ source: 'ARCHIVE' })], both, 10).says).toMatch(/several sources/);
  });
});
