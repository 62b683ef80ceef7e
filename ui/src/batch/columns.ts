// SPDX-License-Identifier: AGPL-3.0-or-later

/** Column describes a column of a file, as engine/batch/columns.go does. */
export type Column = { name: string; required?: string; meaning: string; example: string };

const patientID =
  "The patient's ID, exactly as the server has it. Format the column as text, so that leading zeros stay.";

export const queryColumns: Column[] = [
  {
    name: 'PatientID',
    required: 'unless PatientName and PatientBirthDate, or AccessionNumber, are given',
    meaning: patientID,
    example: '0062115936',
  },
  {
    name: 'PatientName',
    required: 'unless PatientID or AccessionNumber is given',
    meaning:
      'Last name, comma, first name; without wildcards. The DICOM form Last^First^Middle is understood, too.',
    example: 'Apple, Annie',
  },
  {
    name: 'PatientBirthDate',
    required: 'unless PatientID or AccessionNumber is given',
    meaning: "The patient's date of birth.",
    example: '1945-04-27',
  },
  {
    name: 'AccessionNumber',
    required: 'unless PatientID, or PatientName and PatientBirthDate, are given',
    meaning: 'The accession number of the study. A row may have it alone.',
    example: '0062115904',
  },
  { name: 'From', meaning: 'Studies of this day and later.', example: '2019-06-01' },
  { name: 'Until', meaning: 'Studies of this day and before.', example: '2019-12-31' },
  {
    name: 'Modality',
    required: 'unless AccessionNumber is given',
    meaning: 'A modality, or several with commas between them: studies that have one of them.',
    example: 'CT, MR',
  },
  {
    name: 'StudyDescription',
    meaning:
      'The description as a whole, in capital or small letters. * stands for any characters, ? for one.',
    example: '*head*',
  },
  {
    name: 'SeriesDescription',
    meaning: 'As StudyDescription, of a series. The results are then series.',
    example: 't2*',
  },
  {
    name: 'SeriesNumber',
    meaning: 'The number of a series, or several with commas between them. The results are then series.',
    example: '4, 5',
  },
  {
    name: 'Pseudonym',
    meaning: 'Stands in the results, which can be used for a batch transfer.',
    example: 'SUBJ-0001',
  },
];

export const transferColumns: Column[] = [
  { name: 'PatientID', required: 'always', meaning: patientID, example: '0062115936' },
  {
    name: 'StudyInstanceUID',
    required: 'always',
    meaning: 'The study. All rows of a study become one task.',
    example: '1.2.840.113845.11.1000000001951524609.20200705182951.2689481',
  },
  {
    name: 'SeriesInstanceUID',
    meaning: 'A series of the study, one in a row. A row without it stands for the whole study.',
    example: '1.2.840.113845.11.1000000001951524609.20200705182951.2689482',
  },
  {
    name: 'Pseudonym',
    required: "unless you may transfer with the patient's identity",
    meaning:
      "What replaces the Patient ID and the Patient's Name. Each patient has one, and no other patient has it.",
    example: 'SUBJ-0001',
  },
];
