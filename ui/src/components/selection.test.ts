// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import type { FoundSeries, Study } from '../api';
import { earlier, isPicked, nothing, pick, range, type SeriesList, studyState, summary } from './selection';

const study = (uid: string, patient: string, instances?: number): Study => ({
  study_instance_uid: uid,
  patient_id: patient,
  patient_name: '',
  patient_birth_date: '',
  patient_sex: '',
  study_date: '',
  study_time: '',
  study_description: '',
  accession_number: '',
  modalities_in_study: [],
  instances,
});
const series = (uid: string, instances?: number): FoundSeries => ({
  series_instance_uid: uid,
  modality: 'CT',
  series_description: '',
  body_part_examined: '',
  series_date: '',
  series_time: '',
  instances,
});

const a = study('1.1', 'PHANTOM-1', 10);
const b = study('1.2', 'PHANTOM-1', 20);
const c = study('1.3', 'PHANTOM-2');
const s1 = series('2.1', 3);
const s2 = series('2.2', 7);
const of: SeriesList = { items: [s1, s2], truncated: false };

describe('whole studies', () => {
  test('are picked and let go', () => {
    const both = pick(nothing, [{ study: a }, { study: b }], true);
    expect([a, b, c].map((s) => studyState(both, s))).toEqual(['all', 'all', 'none']);
    expect(studyState(pick(both, [{ study: a }], false), a)).toBe('none');
    expect(nothing.size).toBe(0);
  });
  test('count', () => {
    const both = pick(nothing, [{ study: a }, { study: b }], true);
    expect(summary(both)).toEqual({ studies: 2, series: 0, seriesOf: 0, patients: 1, images: 30 });
  });
});

describe('series', () => {
  test('make a study mixed, and all of them make it whole', () => {
    const one = pick(nothing, [{ study: a, series: s1, of }], true);
    expect(studyState(one, a)).toBe('some');
    expect([s1, s2].map((s) => isPicked(one, { study: a, series: s }))).toEqual([true, false]);
    expect(isPicked(one, { study: a })).toBe(false);
    expect(studyState(pick(one, [{ study: a, series: s2, of }], true), a)).toBe('all');
    expect(pick(one, [{ study: a, series: s1, of }], false).size).toBe(0);
  });
  test('leave the others where one is let go of a whole study', () => {
    const rest = pick(pick(nothing, [{ study: a }], true), [{ study: a, series: s1, of }], false);
    expect(summary(rest)).toEqual({ studies: 0, series: 1, seriesOf: 1, patients: 1, images: 7 });
  });
  test('are not the whole study if it has more of them', () => {
    const cut: SeriesList = { items: [s1], truncated: true };
    expect(studyState(pick(nothing, [{ study: a, series: s1, of: cut }], true), a)).toBe('some');
    const whole = pick(nothing, [{ study: a }], true);
    expect(studyState(pick(whole, [{ study: a, series: s1, of: cut }], true), a)).toBe('all');
  });
});

test('ranges go both ways', () => {
  expect(range([1, 2, 3, 4], 1, 3)).toEqual([2, 3, 4]);
  expect(range([1, 2, 3, 4], 3, 1)).toEqual([2, 3, 4]);
  const mixed = pick(
    nothing,
    range([{ study: a }, { study: b, series: s1, of }, { study: b, series: s2, of }], 0, 1),
    true,
  );
  expect([a, b].map((s) => studyState(mixed, s))).toEqual(['all', 'some']);
});

test('what is picked outlives a search', () => {
  const both = pick(nothing, [{ study: a }, { study: c }], true);
  expect(earlier(both, [a, b])).toBe(1);
  expect(earlier(both, [])).toBe(2);
});

test('images are told only if all of them are known', () => {
  expect(summary(pick(nothing, [{ study: a }, { study: c }], true)).images).toBeUndefined();
  expect(summary(nothing).images).toBe(0);
});

test('studies without a patient ID are of patients of their own', () => {
  const picked = pick(nothing, [{ study: study('1.4', '') }, { study: study('1.5', '') }], true);
  expect(summary(picked).patients).toBe(2);
});
