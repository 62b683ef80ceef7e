// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQuery } from '@tanstack/react-query';

import { getJobDeidentification, type Job } from '../api';
import { final } from '../components/status';
import { jobKey } from './queries';

const every = 60_000; // milliseconds: no event tells of the sum, and one of 50,000 studies takes a second

/** useDeidSum sums up what de-identification did to the studies of a job. */
export function useDeidSum(job: Job, enabled = true) {
  const over = final(job.status);
  return useQuery({
    queryKey: [...jobKey(job.id), 'deidentification', job.ended_at ?? ''],
    queryFn: async () => (await getJobDeidentification({ path: { id: job.id } })).data,
    enabled,
    refetchInterval: over ? false : every,
  });
}
