// SPDX-License-Identifier: AGPL-3.0-or-later

import type { FoundSeries, Study } from '../api';
import type { SeriesLists, SeriesOf } from '../search/series';
import type { Item, SeriesList } from './selection';

/** Row is one of a list of studies: a study, a series of one, or what there is to say about its series. */
export type Row =
  | { id: string; kind: 'study'; study: Study; open: boolean }
  | { id: string; kind: 'series'; study: Study; series: FoundSeries; of: SeriesList }
  | { id: string; kind: 'word'; study: Study; of: SeriesOf | undefined };

/** rowsOf lists studies, with the series of those that are open below them. */
export function rowsOf(studies: Study[], open: ReadonlySet<string>, lists: SeriesLists): Row[] {
  return studies.flatMap((study) => {
    // A server may give two patients' studies the same UID.
    const id = `${study.study_instance_uid} ${study.patient_id}`;
    const unfolded = open.has(id);
    const row: Row = { id, kind: 'study', study, open: unfolded };
    if (!unfolded) return [row];
    const of = lists.get(study.study_instance_uid);
    const series = (of?.items ?? []).map((s): Row => ({
      id: `${id} ${s.series_instance_uid}`,
      kind: 'series',
      study,
      series: s,
      of: { items: of?.items ?? [], truncated: (of?.truncated ?? false) || (of?.loading ?? true) },
    }));
    const silent = of && !of.loading && !of.problem && !of.truncated && of.items.length > 0;
    return [row, ...series, ...(silent ? [] : [{ id: `${id} word`, kind: 'word', study, of } as const])];
  });
}

/** itemOf is what a row stands for in a selection; null: nothing that can be picked. */
export function itemOf(row: Row | undefined): Item | null {
  if (!row || row.kind === 'word') return null;
  return row.kind === 'study' ? { study: row.study } : { study: row.study, series: row.series, of: row.of };
}

/** itemsOf is what rows stand for. */
export function itemsOf(rows: Row[]): Item[] {
  return rows.map(itemOf).filter((item) => item !== null);
}

/** seriesWord says what there is to say about the series of a study. */
export function seriesWord(of: SeriesOf | undefined): string {
  if (!of || of.loading)
    return of && of.items.length > 0 ? 'More series are coming…' : 'The series are coming…';
  if (of.problem) return of.problem.message;
  if (of.truncated) return 'The study has more series than these. Pick the whole study to get them all.';
  return 'The server names no series of this study. You can still transfer the whole study.';
}
