// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { briefly, emptyForm, queryOf } from './query';

const now = new Date(2026, 10, 12, 21);

test('only what was filled in is asked for', () => {
  expect(queryOf({ ...emptyForm, patientID: ' PHANTOM-1 ' }, now)).toEqual({
    query: { patient_id: 'PHANTOM-1', limit: 100 },
  });
});

test('all fields', () => {
  const form = {
    patientID: 'PHANTOM-1',
    patientName: 'Phantom, A*',
    birthDate: '2.4.1961',
    studyDate: { preset: 'yesterday' as const },
    modalities: ['CT', 'MR'],
    accession: 'A1',
  };
  expect(queryOf(form, now)).toEqual({
    query: {
      patient_id: 'PHANTOM-1',
      patient_name: 'Phantom, A*',
      patient_birth_date_from: '1961-04-02',
      patient_birth_date_to: '1961-04-02',
      study_date_from: '2026-11-11',
      study_date_to: '2026-11-11',
      modality: 'CT,MR',
      accession_number: 'A1',
      limit: 100,
    },
  });
});

test('an empty form finds nothing, and so do blanks', () => {
  expect(queryOf({ ...emptyForm, patientName: '  ' }, now)).toEqual({
    faults: { form: 'Fill in at least one field.' },
  });
});

test('dates that are none', () => {
  expect(queryOf({ ...emptyForm, birthDate: '61' }, now)).toHaveProperty('faults.birthDate');
  const studyDate = { from: '2026-02-30', until: '' };
  expect(queryOf({ ...emptyForm, studyDate }, now)).toHaveProperty('faults.studyDate');
});

test('in brief there is no value of a patient', () => {
  expect(briefly({ ...emptyForm, patientID: 'PHANTOM-1' })).toBe('Any modality · Any time');
});
