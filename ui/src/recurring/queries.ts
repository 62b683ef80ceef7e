// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQuery } from '@tanstack/react-query';

import { createRecurrence, listRecurrences, type NewRecurrence, queries, type Recurrence } from '../api';
import { nodesKey } from '../servers/queries';

const key = ['recurrences'];

const every = 10_000; // milliseconds between two looks; no event tells of them

/** useRecurrences gives what runs again and again: one's own, of everybody for staff. */
export function useRecurrences(watched = false) {
  return useQuery({
    queryKey: key,
    queryFn: async ({ signal }) => {
      const all: Recurrence[] = [];
      for (let cursor: string | undefined; ;) {
        const { data } = await listRecurrences({ query: { limit: 500, cursor }, signal });
        all.push(...data.items);
        cursor = data.next_cursor;
        if (!cursor) return all;
      }
    },
    refetchInterval: watched && every,
  });
}

/** placeRecurrence puts a recurrence as it is now into the list, or takes it out. */
export function placeRecurrence(id: number, now: Recurrence | undefined): void {
  queries.setQueryData<Recurrence[]>(key, (was) =>
    was?.flatMap((r) => (r.id !== id ? [r] : now ? [now] : [])),
  );
}

/** haveRun makes a recurrence, and gives its number. */
export async function haveRun(body: NewRecurrence): Promise<number> {
  try {
    return (await createRecurrence({ body })).data.id;
  } finally {
    void queries.invalidateQueries({ queryKey: key });
    void queries.invalidateQueries({ queryKey: nodesKey }); // one that is gone may be why it was refused
  }
}
