// SPDX-License-Identifier: AGPL-3.0-or-later

import { useCallback, useEffect, useMemo, useSyncExternalStore } from 'react';

import { type FoundSeries, type LiveEvent, problem, type Problem, type Study } from '../api';
import { live } from '../live';

/** SeriesOf is what is known of the series of a study; absent: nobody asked. */
export type SeriesOf = {
  items: FoundSeries[];
  truncated: boolean;
  loading: boolean;
  problem?: Problem | null;
};

export type SeriesLists = ReadonlyMap<string, SeriesOf>;

const atOnce = 2; // searches for series, since each takes one of the server's connections for people

/** SeriesLoader asks a server for the series of studies, a few studies at a time. */
class SeriesLoader {
  private lists: SeriesLists = new Map();
  private readonly waiting: Study[] = [];
  private readonly running = new Map<string, () => void>();
  private readonly watchers = new Set<() => void>();

  constructor(private readonly server: string) {}

  now = (): SeriesLists => this.lists;

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** load asks for the series of a study, unless they are known or on their way. */
  load(study: Study): void {
    const known = this.lists.get(study.study_instance_uid);
    if (known && !known.problem) return;
    this.put(study.study_instance_uid, { items: [], truncated: false, loading: true });
    this.waiting.push(study);
    this.next();
  }

  stop(): void {
    for (const end of this.running.values()) end();
    this.running.clear();
    this.waiting.length = 0;
    // What was on its way is asked for again if somebody wants it.
    this.become(new Map([...this.lists].filter(([, list]) => !list.loading)));
  }

  private next(): void {
    if (this.running.size >= atOnce) return;
    const study = this.waiting.shift();
    if (!study) return;
    const uid = study.study_instance_uid;
    const series = { study_instance_uid: uid, patient_id: study.patient_id || undefined };
    this.running.set(
      uid,
      live.search({ server: this.server, series }, (event) => this.hear(uid, event)),
    );
  }

  private hear(uid: string, { found, ended }: LiveEvent): void {
    const list = this.lists.get(uid);
    if (!list) return;
    const over = ended ?? (found?.done && !found.failed);
    this.put(uid, {
      items: inOrder([...list.items, ...(found?.series ?? [])]),
      truncated: found?.truncated ?? list.truncated,
      loading: !over,
      problem: problem(ended),
    });
    if (!over) return;
    this.running.delete(uid);
    this.next();
  }

  private put(uid: string, list: SeriesOf): void {
    this.become(new Map(this.lists).set(uid, list));
  }

  private become(lists: SeriesLists): void {
    this.lists = lists;
    for (const watcher of this.watchers) watcher();
  }
}

/** inOrder sorts series by their numbers; those without one come last. */
function inOrder(series: FoundSeries[]): FoundSeries[] {
  return series.sort((a, b) => (a.series_number ?? Infinity) - (b.series_number ?? Infinity) || 0);
}

/** useSeries gives the series of studies of a server, and a function that asks for those of one study. */
export function useSeries(server: string): [SeriesLists, (study: Study) => void] {
  const loader = useMemo(() => new SeriesLoader(server), [server]);
  useEffect(() => () => loader.stop(), [loader]);
  const load = useCallback((study: Study) => loader.load(study), [loader]);
  return [useSyncExternalStore(loader.watch, loader.now), load];
}
