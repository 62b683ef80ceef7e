// SPDX-License-Identifier: AGPL-3.0-or-later

import type { StudyQuery } from '../../api';
import { readDate } from '../../format/dicom';
import { anyTime, dateFault, type DateRange, daysOf, rangeFaults, rangeWords } from '../../format/ranges';

/** Form is what somebody typed to find studies. */
export type Form = {
  patientID: string;
  patientName: string;
  birthDate: string;
  studyDate: DateRange;
  modalities: string[];
  accession: string;
};

export const emptyForm: Form = {
  patientID: '',
  patientName: '',
  birthDate: '',
  studyDate: anyTime,
  modalities: [],
  accession: '',
};

/** most is how many studies a search shows. */
export const most = 100;

/** Asked is the query of a form, or what is wrong with the form. */
export type Asked =
  { query: StudyQuery } | { faults: { birthDate?: string; studyDate?: string; form?: string } };

/** queryOf makes the query of a form. */
export function queryOf(form: Form, now = new Date()): Asked {
  const birthDate = dateFault(form.birthDate);
  const { from, until } = rangeFaults(form.studyDate);
  if (birthDate || from || until) return { faults: { birthDate, studyDate: from ?? until } };
  const born = readDate(form.birthDate) ?? undefined;
  const days = daysOf(form.studyDate, now);
  const query = filled({
    patient_id: form.patientID.trim(),
    patient_name: form.patientName.trim(),
    patient_birth_date_from: born,
    patient_birth_date_to: born,
    study_date_from: days.from,
    study_date_to: days.until,
    modality: form.modalities.join(','),
    accession_number: form.accession.trim(),
  });
  if (Object.keys(query).length === 0) return { faults: { form: 'Fill in at least one field.' } };
  return { query: { ...query, limit: most } };
}

function filled(query: StudyQuery): StudyQuery {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value));
}

/** briefly names what of a form is no patient's value, for where there is little room. */
export function briefly(form: Form): string {
  const modality = form.modalities.length > 0 ? form.modalities.join(', ') : 'Any modality';
  return `${modality} · ${rangeWords(form.studyDate)}`;
}
