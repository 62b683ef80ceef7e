// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';

import { countResults, type Job, listResults, type QueryResult } from '../api';
import { final } from '../components/status';
import { useTopic } from '../live';
import { jobKey } from './queries';

const perPage = 500;
const every = 3000; // milliseconds between two looks for new results

/** Found is what was loaded of the results of a batch query. */
type Found = {
  items: QueryResult[];
  /** How many of the items stand before the last page, and where that begins: what is new comes behind. */
  settled: number;
  cursor?: string;
};

const none: Found = { items: [], settled: 0 };

/** batchOf is the first job of those that were made of one file. */
const batchOf = (job: Job) => job.first_job_id ?? job.id;

/** load goes on from the last page that is known, and shows each page as it comes. */
async function load(
  id: number,
  was: Found,
  show: (found: Found) => void,
  signal: AbortSignal,
): Promise<Found> {
  let found = was;
  for (;;) {
    const query = { all_sources: true, limit: perPage, cursor: found.cursor };
    const { data } = await listResults({ path: { id }, query, signal });
    const items = [...found.items.slice(0, found.settled), ...data.items];
    if (!data.next_cursor) return { ...found, items };
    found = { items, settled: items.length, cursor: data.next_cursor };
    show(found);
  }
}

/**
 * useResults gives what a batch query has found at all its sources, as it finds it. Results of a row that is asked
 * again are others: then all of them are loaded anew.
 */
export function useResults(job: Job, enabled: boolean) {
  const client = useQueryClient();
  const id = job.id;
  const key = [...jobKey(id), 'results'];
  const countKey = [...key, 'count'];
  const results = useQuery({
    queryKey: key,
    queryFn: ({ signal }) =>
      load(
        id,
        client.getQueryData<Found>(key) ?? none,
        (now) => client.setQueryData<Found>(key, now),
        signal,
      ),
    enabled,
    staleTime: Infinity,
  });
  const count = useQuery({
    queryKey: countKey,
    queryFn: async () => (await countResults({ path: { id }, query: { all_sources: true } })).data,
    enabled,
    staleTime: Infinity,
  });

  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const look = () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void client.invalidateQueries({ queryKey: key });
    }, every);
  };
  const latest = useRef(look);
  useEffect(() => {
    latest.current = look;
  });

  const over = final(job.status);
  const { success, warning, failure } = job.tasks;
  const state = `${success} ${warning} ${failure} ${over}`;
  const seen = useRef(state);
  useEffect(() => {
    if (seen.current !== state && enabled) latest.current();
    seen.current = state;
  }, [state, enabled]);
  useTopic(enabled ? 'jobs' : null, (event) => {
    if (event.reload || event.jobs?.some((j) => batchOf(j) === batchOf(job))) look();
  });

  // What does not add up was asked anew in between.
  const settled = over && !results.isFetching && !count.isFetching && !results.error;
  const [had, should] = [results.data?.items.length, count.data?.results];
  const anew = useRef(-1);
  useEffect(() => {
    if (!settled || had === undefined || should === undefined || had === should || anew.current === should)
      return;
    anew.current = should;
    client.setQueryData<Found>(
      [...jobKey(id), 'results'],
      (was) => was && { ...was, settled: 0, cursor: undefined },
    );
    void client.invalidateQueries({ queryKey: [...jobKey(id), 'results'] });
  }, [client, had, id, settled, should]);

  return {
    items: results.data?.items ?? none.items,
    count: count.data,
    loading: results.isFetching,
    error: results.error ?? count.error,
    retry: () => void client.invalidateQueries({ queryKey: key }),
  };
}
