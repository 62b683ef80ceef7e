// SPDX-License-Identifier: AGPL-3.0-or-later

import type { MassVolume } from '../api';

const plain = (text: string) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

/** chosenBy reports whether a series has each word of a text, wherever it has it. */
export function chosenBy(text: string): (v: MassVolume) => boolean {
  const words = plain(text).split(/\s+/).filter(Boolean);
  if (words.length === 0) return () => true;
  return (v) => {
    const all = plain(
      [v.study_description, v.series_description, v.patient_id, v.accession_number, v.institution_name].join(
        '\n',
      ),
    );
    return words.every((word) => all.includes(word));
  };
}
