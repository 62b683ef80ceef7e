// SPDX-License-Identifier: AGPL-3.0-or-later

import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';

import { askAgain, countJobs, type Job, listJobs, queries } from '../api';
import { ask, type Newest } from '../live';

/** JobFilter chooses jobs, in the words of the API. */
export type JobFilter = NonNullable<Parameters<typeof listJobs>[0]>['query'];

export const jobKey = (id: number) => ['job', id];
const listsKey = ['jobs', 'list'];
export const countsKey = ['jobs', 'counts'];

const perPage = 50;

/** useJobs gives the jobs that a filter chooses, newest first, page after page. */
export function useJobs(filter: JobFilter) {
  return useInfiniteQuery({
    queryKey: [...listsKey, filter],
    queryFn: ({ pageParam }) =>
      ask(
        () => listJobs({ query: { ...filter, limit: perPage, cursor: pageParam } }),
        (page, newest) => ({ ...page, items: page.items.map((job) => newestJob(job, newest)) }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor,
    placeholderData: keepPreviousData,
  });
}

/** useJobCounts counts by status the jobs that a filter chooses, whatever status it names. */
export function useJobCounts(filter: JobFilter) {
  return useQuery({
    queryKey: [...countsKey, filter],
    queryFn: async () => (await countJobs({ query: filter })).data,
    placeholderData: keepPreviousData,
  });
}

type JobPages = {
  pages: { items: Job[]; next_cursor?: string; truncated: boolean }[];
  pageParams: unknown[];
};

/** placeJob puts what is new of a job wherever it is shown. It tells whether some list may have to hold it besides. */
export function placeJob(job: Job): boolean {
  queries.setQueryData<Job>(jobKey(job.id), (was) => was && job);
  let known = true;
  for (const [key, data] of queries.getQueriesData<JobPages>({ queryKey: listsKey })) {
    if (!data?.pages) {
      known = false; // it may be read already, and on its way
      continue;
    }
    if (!data.pages.some((p) => p.items.some((j) => j.id === job.id))) {
      known = false;
      continue;
    }
    queries.setQueryData<JobPages>(key, {
      ...data,
      pages: data.pages.map((p) => ({ ...p, items: p.items.map((j) => (j.id === job.id ? job : j)) })),
    });
  }
  return !known;
}

/** reloadJobs has the counts of jobs asked for anew, or their lists as well. */
export function reloadJobs(what: 'counts' | 'all' = 'all'): void {
  askAgain({ queryKey: what === 'all' ? ['jobs'] : countsKey });
}

const newestJob = (job: Job, newest: Newest) => newest(`job:${job.id}`, job);

/** askJob asks for a job, be it by doing something to it, and gives it as it is then. */
export const askJob = (send: () => Promise<{ data: Job }>): Promise<Job> => ask(send, newestJob);
