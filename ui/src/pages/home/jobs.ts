// SPDX-License-Identifier: AGPL-3.0-or-later

import type { FailureGroup, Job } from '../../api';
import { counts } from '../../components/jobs';
import { final } from '../../components/status';
import { shortUIDs } from '../../format/dicom';
import { counted } from '../../format/numbers';
import { sentence } from '../../jobs/words';

const twoDays = 48 * 3_600_000; // milliseconds

export type HomeJobs = {
  /** Failed, or with warnings, the last that ended first. */
  needs: Job[];
  /** Those that run first, then those that wait; the newest first. */
  open: Job[];
  /** The last that ended first. */
  ended: Job[];
};

/** homeJobs sorts jobs, of which some may come twice, into what Home shows of them. */
export function homeJobs(jobs: Job[], now: Date): HomeJobs {
  const once = [...new Map(jobs.map((j) => [j.id, j])).values()];
  const at = (j: Job) => new Date(j.ended_at ?? j.created_at).getTime();
  const ended = once
    .filter((j) => final(j.status) && now.getTime() - at(j) < twoDays)
    .sort((a, b) => at(b) - at(a) || b.id - a.id);
  const waits = (j: Job) => (j.tasks.in_progress > 0 ? 0 : 1);
  return {
    needs: ended.filter((j) => j.status === 'failure' || j.status === 'warning'),
    open: once.filter((j) => !final(j.status)).sort((a, b) => waits(a) - waits(b) || b.id - a.id),
    ended,
  };
}

/** reasons says why a job needs somebody: the most frequent reason, and how many others there are. */
export function reasons(job: Job, groups: FailureGroup[] | undefined): string {
  const [first, ...others] = groups ?? [];
  if (!first) return sentence(job.message);
  const more = others.length > 0 ? ` And ${counted(others.length, 'other reason')}.` : '';
  return `${counts(job, first.tasks)}: ${shortUIDs(sentence(first.message))}${more}`;
}
