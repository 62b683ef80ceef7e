// SPDX-License-Identifier: AGPL-3.0-or-later

import { type QueryClient, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';

import type { Job } from '../api';
import { isMass } from '../components/jobs';
import { jobKey } from '../jobs/queries';
import {
  askAgain,
  getMassTransfer,
  listPartitions,
  listVolumes,
  type MassPartition,
  type MassTransfer,
  type MassVolume,
} from '../api';

const perPage = 500;
const every = 3000; // milliseconds between two looks at what a job has found by now; more, the more is shown

const massKey = (id: number) => [...jobKey(id), 'mass'];

/** useMass gives what a mass transfer looks for and has found, at every moment; of other jobs nothing. */
export function useMass(job: Job): { mass?: MassTransfer; partitions: MassPartition[]; error: Error | null } {
  const id = job.id;
  const enabled = isMass(job);
  useFreshness(job, enabled);
  const mass = useQuery({
    queryKey: [...massKey(id), 'counts'],
    queryFn: async ({ signal }) => (await getMassTransfer({ path: { id }, signal })).data,
    enabled,
    staleTime: Infinity,
  });
  const partitions = useQuery({
    queryKey: [...massKey(id), 'partitions'],
    queryFn: async ({ signal }) => {
      const all: MassPartition[] = [];
      for (let cursor: string | undefined; ;) {
        const { data } = await listPartitions({ path: { id }, query: { limit: perPage, cursor }, signal });
        all.push(...data.items);
        cursor = data.next_cursor;
        if (!cursor) return all;
      }
    },
    enabled,
    staleTime: Infinity,
  });
  return { mass: mass.data, partitions: partitions.data ?? none, error: mass.error ?? partitions.error };
}

const none: MassPartition[] = [];

/** pagesShown counts the pages that are asked for at once when all is asked for anew. */
function pagesShown(client: QueryClient, id: number): number {
  const partitions = client.getQueryData<MassPartition[]>([...massKey(id), 'partitions'])?.length ?? 0;
  const volumes = client.getQueriesData<{ pages: unknown[] }>({
    queryKey: [...massKey(id), 'volumes'],
    type: 'active',
  });
  return partitions / perPage + volumes.reduce((n, [, data]) => n + (data?.pages.length ?? 0), 0);
}

/** useFreshness has what a mass transfer has found asked for anew whenever its tasks have come further. */
function useFreshness(job: Job, enabled: boolean): void {
  const client = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const { pending, in_progress, success, warning, failure, canceled } = job.tasks;
  const state = [job.status, pending, in_progress, success, warning, failure, canceled].join(' ');
  const seen = useRef(state);
  const id = job.id;
  useEffect(() => {
    if (!enabled || seen.current === state) return;
    seen.current = state;
    timer.current ??= setTimeout(
      () => {
        timer.current = undefined;
        askAgain({ queryKey: massKey(id) });
      },
      every * Math.max(1, pagesShown(client, id) / 4),
    );
  }, [client, enabled, id, state]);
}

/** reloadMass has everything of a mass transfer asked for anew. */
export function useReloadMass(id: number): () => void {
  return () => askAgain({ queryKey: massKey(id) });
}

/** VolumeStatus is a status that a series of a mass transfer can have. */
export type VolumeStatus = MassVolume['status'];

/** useVolumes gives the series that a mass transfer has found, page after page. */
export function useVolumes(id: number, status: VolumeStatus | undefined, partition: number | undefined) {
  return useInfiniteQuery({
    queryKey: [...massKey(id), 'volumes', status ?? '', partition ?? 0],
    queryFn: async ({ pageParam, signal }) => {
      const query = { limit: perPage, cursor: pageParam, status, partition };
      return (await listVolumes({ path: { id }, query, signal })).data;
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor,
    staleTime: Infinity,
  });
}
