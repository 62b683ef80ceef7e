// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { fieldWords, plain } from './words';

test.each([
  ['PACS-A has no study 1.2.3; check the UID.', 'PACS-A has no study 1.2.3; check the UID.'],
  ['ADIT does not answer. Try again in a moment.', 'ADIT does not answer. Try again in a moment.'],
  ['Pseudonymized by adit-default. ADIT goes on.', 'Pseudonymized by adit-default. ADIT goes on.'],
  [
    'There is no DICOM node named "X"; `adit node list` shows the names.',
    'There is no DICOM node named "X".',
  ],
  [
    'This job keeps no manifest; after `adit project set NAME --manifest`, new jobs keep one.',
    'This job keeps no manifest. Ask an administrator.',
  ],
  [
    'Your account has no password yet; ask staff to set one (adit user password), or request a mail.',
    'Your account has no password yet; ask staff to set one, or request a mail.',
  ],
  [
    'It is another disk. Mount the right one, or ask staff to run adit node adopt "X" to use it.',
    'It is another disk. Ask an administrator.',
  ],
  [
    'This ADIT has no receiver; start adit serve with --receiver-listen',
    'This ADIT has no receiver. Ask an administrator.',
  ],
  ['Run adit serve.', 'Ask an administrator.'],
])('%s', (says, shown) => {
  expect(plain(says)).toBe(shown);
});

test.each([
  ['patient_id', 'Patient ID'],
  ['patient_name', 'Patient name'],
  ['study_date_to', 'Study date'],
  ['preferences.last_source', 'Last source'],
  ['studies[2].pseudonym', 'Pseudonym of study 3'],
  ['studies[0]', 'Study 1'],
  ['studies', 'Studies'],
  ['filters[1].max_age', 'Maximum age of filter 2'],
  ['filters[0]', 'Filter 1'],
  ['end_date', 'Last day'],
])('%s is called %s', (field, words) => {
  expect(fieldWords(field)).toBe(words);
});
