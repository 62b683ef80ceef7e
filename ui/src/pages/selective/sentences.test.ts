// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import type { FoundSeries, Study } from '../../api';
import { nothing, pick, type Selection } from '../../components/selection';
import { leftOut, newJob, tooMany, whatGoes } from './sentences';

test('what is left out under a pseudonym', () => {
  const study = (uid: string, ...modalities: string[]) =>
    ({ study_instance_uid: uid, modalities_in_study: modalities }) as Study;
  const series = (uid: string, modality: string) => ({ series_instance_uid: uid, modality }) as FoundSeries;
  const whole = (...studies: Study[]) =>
    pick(
      nothing,
      studies.map((s) => ({ study: s })),
      true,
    );
  const some = (s: Study, ...picked: FoundSeries[]) =>
    new Map([
      [s.study_instance_uid, { study: s, series: new Map(picked.map((p) => [p.series_instance_uid, p])) }],
    ]);
  const says = (selection: Selection) => leftOut(selection, ['PR', 'SR']);
  const reason = 'are left out: they may show who the patient is.';
  expect(says(whole(study('1', 'CT', 'MR')))).toBe('');
  expect(leftOut(whole(study('1', 'CT', 'SR')), [])).toBe('');
  expect(says(whole(study('1', 'CT', 'SR'), study('2', 'PR', 'MR')))).toBe(
    `Series of modality PR, SR ${reason}`,
  );
  expect(says(whole(study('1', 'CT', 'SR'), study('2', 'SR')))).toBe(
    `Series of modality SR ${reason} Of 1 study nothing is left.`,
  );
  expect(says(whole(study('1', 'SR')))).toBe(`Series of modality SR ${reason} Nothing is left to be sent.`);
  expect(says(some(study('1', 'CT', 'SR'), series('1.1', 'CT')))).toBe('');
  expect(says(some(study('1', 'CT', 'SR'), series('1.2', 'SR')))).toBe(
    `Series of modality SR ${reason} Nothing is left to be sent.`,
  );
});

test('what goes', () => {
  const of = (studies: number, series: number, seriesOf: number, images?: number) =>
    whatGoes({ studies, series, seriesOf, images, patients: 1 });
  expect([of(2, 2, 1, 1057), of(1, 0, 0, 1), of(0, 1, 1), of(0, 3, 2), of(1, 3, 2)]).toEqual([
    '2 studies and 2 series of another, 1,057 images',
    '1 study, 1 image',
    '1 series of a study',
    '3 series of 2 studies',
    '1 study and 3 series of 2 others',
  ]);
});

test('too many', () => {
  expect(tooMany(10, 10)).toBe('');
  expect(tooMany(14, 10)).toBe('14 studies are picked, but only 10 go in one job. Remove 4.');
});

describe('the job', () => {
  const study = {
    study_instance_uid: '1.1',
    patient_id: 'PHANTOM-1',
    patient_name: '',
    patient_birth_date: '',
    patient_sex: '',
    study_date: '',
    study_time: '',
    study_description: '',
    accession_number: '',
    modalities_in_study: [],
  };
  const picked = pick(nothing, [{ study }], true);
  const options = {
    source: 'PACS-A',
    destination: 'RESEARCH',
    pseudonyms: 'project' as const,
    pseudonym: 'SUBJ-1',
    project: 'lung-screening',
    trialID: '',
    trialName: ' ',
    mail: false,
    urgent: false,
  };
  test('has pseudonyms of the project', () => {
    expect(JSON.parse(JSON.stringify(newJob(picked, options)))).toEqual({
      kind: 'selective_transfer',
      source: 'PACS-A',
      destination: 'RESEARCH',
      project: 'lung-screening',
      pseudonymize: true,
      studies: [{ study_instance_uid: '1.1', patient_id: 'PHANTOM-1' }],
    });
  });
  test('has the pseudonym that was typed, or none', () => {
    const typed = newJob(picked, { ...options, pseudonyms: 'typed' });
    expect([typed.pseudonymize, typed.studies[0]?.pseudonym]).toEqual([undefined, 'SUBJ-1']);
    const none = newJob(picked, { ...options, pseudonyms: 'none' });
    expect([none.pseudonymize, none.studies[0]?.pseudonym]).toEqual([undefined, undefined]);
  });
});
