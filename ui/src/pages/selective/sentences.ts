// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, NewJob } from '../../api';
import type { Selection, Summary } from '../../components/selection';
import { count, counted } from '../../format/numbers';

/** whatGoes says what a selection holds: "2 studies and 2 series of another, 1,057 images". */
export function whatGoes({ studies, series, seriesOf, images }: Summary): string {
  const others = seriesOf === 1 ? (studies ? 'another' : 'a study') : counted(seriesOf, 'other', 'others');
  const apart = studies || seriesOf === 1 ? others : counted(seriesOf, 'study', 'studies');
  const parts = [
    studies > 0 && counted(studies, 'study', 'studies'),
    series > 0 && `${count(series)} series of ${apart}`,
  ];
  const what = parts.filter(Boolean).join(' and ');
  return images === undefined ? what : `${what}, ${counted(images, 'image')}`;
}

/** leftOut says which of what is picked is not sent under a pseudonym, since it is of a modality that is left out then. */
export function leftOut(selection: Selection, excluded: readonly string[]): string {
  const found = new Set<string>();
  let empty = 0;
  for (const { study, series } of selection.values()) {
    const has = series === 'all' ? study.modalities_in_study : [...series.values()].map((s) => s.modality);
    const out = has.filter((m) => excluded.includes(m));
    out.forEach((m) => found.add(m));
    if (out.length > 0 && out.length === has.length) empty++;
  }
  if (found.size === 0) return '';
  const says = `Series of modality ${[...found].sort().join(', ')} are left out: they may show who the patient is.`;
  if (empty === 0) return says;
  return `${says} ${empty === selection.size ? 'Nothing is left to be sent' : `Of ${counted(empty, 'study', 'studies')} nothing is left`}.`;
}

/** Pseudonyms is how the patients of a job are named at the destination. */
export type Pseudonyms = 'project' | 'typed' | 'none';

/** How many studies go into one job of people without staff rights. */
export const allowed = 10;

/** tooMany is what is said to those who may put only so many studies into a job; empty: it is not too much. */
export function tooMany(picked: number, allowed: number): string {
  if (picked <= allowed) return '';
  return `${counted(picked, 'study', 'studies')} are picked, but only ${allowed} go in one job. Remove ${picked - allowed}.`;
}

export type Options = {
  source: string;
  destination: string;
  pseudonyms: Pseudonyms;
  pseudonym: string;
  project: string;
  trialID: string;
  trialName: string;
  mail: boolean;
  urgent: boolean;
};

/** newJob is the job that transfers a selection. */
export function newJob(selection: Selection, options: Options): NewJob {
  const pseudonym = options.pseudonyms === 'typed' ? options.pseudonym.trim() : undefined;
  return {
    kind: 'selective_transfer' satisfies Job['kind'],
    source: options.source,
    destination: options.destination,
    project: options.project || undefined,
    pseudonymize: options.pseudonyms === 'project' || undefined,
    trial_protocol_id: options.trialID.trim() || undefined,
    trial_protocol_name: options.trialName.trim() || undefined,
    mail_when_finished: options.mail || undefined,
    urgent: options.urgent || undefined,
    studies: [...selection.values()].map(({ study, series }) => ({
      study_instance_uid: study.study_instance_uid,
      patient_id: study.patient_id || undefined,
      series_instance_uids: series === 'all' ? undefined : [...series.keys()],
      pseudonym,
    })),
  };
}
