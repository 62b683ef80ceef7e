// SPDX-License-Identifier: AGPL-3.0-or-later

const command = /(?:^|[\s(`'"])adit [a-z]/;

/**
 * plain takes out of a sentence of the API what only concerns the command line. Where that was the cure, an
 * administrator has to be asked.
 */
export function plain(text: string): string {
  const clauses = text.replace(/\s*\([^()]*\badit [a-z][^()]*\)/g, '').split(/(?<=[.;])\s+/);
  const kept = clauses.filter((c) => !command.test(c));
  if (kept.length === clauses.length) return clauses.join(' ');
  const left = kept.join(' ').replace(/;$/, '.');
  const onlyTells = clauses.every((c) => !command.test(c) || /\b(?:shows?|lists?)\b/.test(c));
  return onlyTells && left ? left : `${left} Ask an administrator.`.trim();
}

const names: Record<string, string> = {
  accession_number: 'Accession #',
  ae_title: 'AE title',
  end_date: 'Last day',
  institution_name: 'Institution',
  mail: 'Mail address',
  max_age: 'Maximum age',
  min_age: 'Minimum age',
  min_number_of_series_related_instances: 'Minimum images',
  modality: 'Modality',
  patient_birth_date: 'Birth date',
  patient_id: 'Patient ID',
  start_date: 'First day',
  series_instance_uids: 'Series Instance UIDs',
  study_instance_uid: 'Study Instance UID',
  trial_protocol_id: 'Trial protocol ID',
};

/** fieldWords names a field of a request as its form does: "Patient ID", "Pseudonym of study 3", "Filter 2". */
export function fieldWords(field: string): string {
  const last = field.split('.').at(-1) ?? '';
  const name = last.replace(/\[\d+\]$/, '').replace(/_(?:from|to|until)$/, '');
  const words = names[name] ?? name.replaceAll('_', ' ').replace(/^./, (c) => c.toUpperCase());
  const [, list, index] = /^(studies|filters)\[(\d+)\]/.exec(field) ?? [];
  if (!list) return words;
  const one = `${list === 'studies' ? 'study' : 'filter'} ${Number(index) + 1}`;
  return last.startsWith(list) ? one.replace(/^./, (c) => c.toUpperCase()) : `${words} of ${one}`;
}
