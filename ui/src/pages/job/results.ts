// SPDX-License-Identifier: AGPL-3.0-or-later

import type { FoundSeries, Me, QueryResult, Study } from '../../api';
import type { PickedStudy, Selection } from '../../components/selection';
import { date, name } from '../../format/dicom';
import { count, counted } from '../../format/numbers';
import { can } from '../../session/me';

/** ResultFilter chooses results. */
export type ResultFilter = { text: string; source?: string; row?: number };

/** haystack is what a text is looked for in, in small letters. */
function haystack(r: QueryResult): string {
  const { text, ideographic } = name(r.patient_name);
  return [
    r.patient_id,
    text,
    ideographic,
    date(r.study_date),
    r.study_description,
    r.series_description,
    r.accession_number,
    r.pseudonym,
    r.modalities.join(' '),
    r.study_instance_uid,
    ...r.extra,
  ]
    .join('\n')
    .toLowerCase();
}

const haystacks = new WeakMap<QueryResult, string>();

function inText(r: QueryResult, words: string[]): boolean {
  let text = haystacks.get(r);
  if (text === undefined) haystacks.set(r, (text = haystack(r)));
  const found = text;
  return words.every((w) => found.includes(w));
}

/** filtered gives the results that a filter chooses: those that have all of its words. */
export function filtered(results: QueryResult[], { text, source, row }: ResultFilter): QueryResult[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0 && source === undefined && row === undefined) return results;
  return results.filter(
    (r) =>
      (source === undefined || r.source === source) &&
      (row === undefined || r.row === row) &&
      inText(r, words),
  );
}

/** sourcesIn counts the results of each source. */
export function sourcesIn(results: QueryResult[]): [source: string, results: number][] {
  const found = new Map<string, number>();
  for (const { source } of results) found.set(source, (found.get(source) ?? 0) + 1);
  return [...found].sort(([a], [b]) => a.localeCompare(b));
}

/** selectionOf is what was picked, as a selection of Selective Transfer. */
export function selectionOf(picked: QueryResult[]): Selection {
  const selection = new Map<string, PickedStudy>();
  for (const r of picked) {
    const uid = r.study_instance_uid;
    const before = selection.get(uid);
    if (!r.series_instance_uid) {
      selection.set(uid, { study: studyOf(r), series: 'all' });
    } else if (before?.series !== 'all') {
      const series = new Map(before?.series ?? []);
      series.set(r.series_instance_uid, seriesOf(r));
      selection.set(uid, { study: before?.study ?? studyOf(r), series });
    }
  }
  return selection;
}

function studyOf(r: QueryResult): Study {
  return {
    study_instance_uid: r.study_instance_uid,
    patient_id: r.patient_id,
    patient_name: r.patient_name,
    patient_birth_date: r.patient_birth_date,
    patient_sex: '',
    study_date: r.study_date,
    study_time: r.study_time,
    study_description: r.study_description,
    accession_number: r.accession_number,
    modalities_in_study: r.modalities,
    instances: r.series_instance_uid ? undefined : r.instances,
  };
}

function seriesOf(r: QueryResult): FoundSeries {
  return {
    series_instance_uid: r.series_instance_uid ?? '',
    series_description: r.series_description ?? '',
    series_number: r.series_number,
    modality: r.modalities[0] ?? '',
    body_part_examined: '',
    series_date: '',
    series_time: '',
    instances: r.instances,
  };
}

const values: [column: string, of: (r: QueryResult) => string | undefined, always: boolean][] = [
  ['PatientID', (r) => r.patient_id, true],
  ['StudyInstanceUID', (r) => r.study_instance_uid, true],
  ['SeriesInstanceUID', (r) => r.series_instance_uid, false],
  ['Pseudonym', (r) => r.pseudonym, false],
];

/** fileOf is what was picked, as the file of a batch transfer. The apostrophe has each value read as it is. */
export function fileOf(picked: QueryResult[]): string {
  const cell = (value = '') => (value === '' ? '' : `"'${value.replaceAll('"', '""')}"`);
  const used = values.filter(([, of, always]) => always || picked.some(of));
  const lines = picked.map((r) => used.map(([, of]) => cell(of(r))).join(','));
  return [used.map(([column]) => column).join(','), ...new Set(lines), ''].join('\r\n');
}

/** Way is how what was picked can be transferred, and what there is to say about it. */
export type Way = { by?: 'selective' | 'batch'; says: string };

/** wayOf tells how what was picked can be transferred: as a selection if it is little, else as a file. */
export function wayOf(picked: QueryResult[], me: Me, allowed: number): Way {
  const studies = new Set(picked.map((r) => r.study_instance_uid)).size;
  if (new Set(picked.map((r) => r.source)).size > 1) {
    return { says: 'These are of several sources, but a job has one. Choose one of the sources first.' };
  }
  const [selective, batch] = [can(me, 'selective_transfer'), can(me, 'batch_transfer')];
  const pseudonyms = picked.some((r) => r.pseudonym);
  const few = me.is_staff || studies <= allowed;
  if (batch && (pseudonyms || !few || !selective)) return { by: 'batch', says: '' };
  if (!selective) return { says: 'Your groups have no right to transfer. Ask an administrator.' };
  if (!few) {
    return {
      says:
        `${counted(studies, 'study', 'studies')} are picked, but only ${allowed} go in a selective transfer. ` +
        'Download the results, and ask somebody with the right Batch Transfer.',
    };
  }
  return { by: 'selective', says: pseudonyms ? 'The pseudonyms of the file do not go along.' : '' };
}

/** pickedSays says what is picked: "3 results, 2 studies". */
export function pickedSays(picked: QueryResult[]): string {
  const studies = new Set(picked.map((r) => r.study_instance_uid)).size;
  const words = counted(studies, 'study', 'studies');
  return picked.length === studies ? `${words} picked` : `${count(picked.length)} results of ${words} picked`;
}
