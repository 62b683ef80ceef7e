// SPDX-License-Identifier: AGPL-3.0-or-later

import type { FoundSeries, Study } from '../api';

/** PickedStudy is a study of a selection: all of it, or some of its series. */
export type PickedStudy = { study: Study; series: 'all' | ReadonlyMap<string, FoundSeries> };

/** Selection is what somebody picked, by Study Instance UID. It holds the studies, so that it outlives a search. */
export type Selection = ReadonlyMap<string, PickedStudy>;

/** SeriesList is what is known of the series of a study. */
export type SeriesList = { items: FoundSeries[]; /** the study has more of them */ truncated: boolean };

/** Item is something that can be picked: a study, or one of its series. */
export type Item = { study: Study; series?: FoundSeries; /** to which the series belongs */ of?: SeriesList };

export const nothing: Selection = new Map();

/** studyState tells how much of a study is picked. */
export function studyState(selection: Selection, study: Study): 'none' | 'some' | 'all' {
  const picked = selection.get(study.study_instance_uid);
  if (!picked) return 'none';
  return picked.series === 'all' ? 'all' : 'some';
}

/** isPicked tells whether all of an item is picked. */
export function isPicked(selection: Selection, { study, series }: Item): boolean {
  const picked = selection.get(study.study_instance_uid);
  if (!picked) return false;
  return picked.series === 'all' || (series !== undefined && picked.series.has(series.series_instance_uid));
}

/** pick picks items, or lets go of them. */
export function pick(selection: Selection, items: Item[], on: boolean): Selection {
  const next = new Map(selection);
  for (const item of items) {
    if (item.series && item.of) pickSeries(next, item.study, item.series, item.of, on);
    else if (on) next.set(item.study.study_instance_uid, { study: item.study, series: 'all' });
    else next.delete(item.study.study_instance_uid);
  }
  return next;
}

function pickSeries(
  next: Map<string, PickedStudy>,
  study: Study,
  series: FoundSeries,
  of: SeriesList,
  on: boolean,
): void {
  const uid = study.study_instance_uid;
  const before = next.get(uid)?.series;
  const all = before === 'all' ? of.items : [...(before?.values() ?? [])];
  const picked = new Map(all.map((s) => [s.series_instance_uid, s]));
  if (on) picked.set(series.series_instance_uid, series);
  else picked.delete(series.series_instance_uid);
  // Every series that is known is the whole study only if there are no others.
  const whole = !of.truncated && of.items.every((s) => picked.has(s.series_instance_uid));
  if (picked.size === 0) next.delete(uid);
  else if (whole || (before === 'all' && on)) next.set(uid, { study, series: 'all' });
  else next.set(uid, { study, series: picked });
}

/** range gives the items from one place to another, in either direction, both included. */
export function range<T>(items: T[], from: number, to: number): T[] {
  return items.slice(Math.min(from, to), Math.max(from, to) + 1);
}

/** earlier counts the picked studies that a list does not show. */
export function earlier(selection: Selection, shown: Study[]): number {
  const here = shown.filter((s) => selection.has(s.study_instance_uid));
  return selection.size - new Set(here.map((s) => s.study_instance_uid)).size;
}

export type Summary = {
  /** Whole studies. */
  studies: number;
  /** Series of other studies, and how many studies those are. */
  series: number;
  seriesOf: number;
  /** Absent where the server does not say it of all that is picked. */
  images?: number;
  patients: number;
};

/** summary counts what is picked. */
export function summary(selection: Selection): Summary {
  const sum = { studies: 0, series: 0, seriesOf: 0, patients: 0 };
  const patients = new Set<string>();
  const images: (number | undefined)[] = [];
  for (const { study, series } of selection.values()) {
    patients.add(patientOf(study));
    if (series === 'all') {
      sum.studies++;
      images.push(study.instances);
    } else {
      sum.series += series.size;
      sum.seriesOf++;
      images.push(...[...series.values()].map((s) => s.instances));
    }
  }
  const known = images.every((n) => n !== undefined);
  return {
    ...sum,
    patients: patients.size,
    images: known ? images.reduce<number>((all, n) => all + n, 0) : undefined,
  };
}

/** Without a Patient ID nobody can tell whether two studies are of the same patient. */
function patientOf(study: Study): string {
  return study.patient_id ? `id ${study.patient_id}` : `study ${study.study_instance_uid}`;
}
