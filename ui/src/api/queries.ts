// SPDX-License-Identifier: AGPL-3.0-or-later

import { QueryClient, type QueryFilters, type QueryKey } from '@tanstack/react-query';

import { Problem } from './problem';

/** queries holds what the server has said. Events keep it true; what no event tells of is asked for anew in a while. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) =>
        failures < 2 && error instanceof Problem && !error.calm && [0, 502, 503].includes(error.status),
    },
    mutations: { retry: false },
  },
});

/** Queries that were asked too early, and are asked once more when they have been answered. */
const tooEarly = new WeakSet<object>();

queries.getQueryCache().subscribe((event) => {
  if (event.type !== 'updated') return;
  const { action } = event;
  const answered = action.type === 'error' || (action.type === 'success' && !action.manual);
  if (answered && tooEarly.delete(event.query)) {
    const queryKey = event.query.queryKey as QueryKey;
    queueMicrotask(() => askAgain({ queryKey, exact: true }));
  }
});

/**
 * askAgain has queries asked anew, since something has happened. An answer that is on its way may be from before: when
 * it has come, the query is asked once more. None is asked twice at a time, however much happens.
 */
export function askAgain(filters: QueryFilters = {}): void {
  for (const query of queries.getQueryCache().findAll(filters)) {
    if (query.state.fetchStatus !== 'idle') tooEarly.add(query);
  }
  void queries.invalidateQueries(filters, { cancelRefetch: false });
}
