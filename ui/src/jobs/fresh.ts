// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job } from '../api';
import type { JobFilter } from './queries';

/** belongs reports whether a filter chooses a job. What the pages do not filter by is not looked at. */
export function belongs(job: Job, filter: JobFilter, username: string): boolean {
  const f = filter ?? {};
  return (
    (f.mine !== 'true' || job.owner === username) &&
    (!f.status?.length || f.status.includes(job.status)) &&
    (!f.kind || f.kind === job.kind) &&
    (!f.source || f.source === job.source) &&
    (!f.destination || f.destination === job.destination) &&
    (!f.project || f.project === job.project)
  );
}

type Shown = {
  jobs: Job[];
  /** There are older ones that are not loaded. */
  more: boolean;
};

/** missingIn are the jobs among those of events that a list, newest first, would hold if it were loaded now. */
export function missingIn(shown: Shown, seen: Job[], filter: JobFilter, username: string): Job[] {
  const ids = new Set(shown.jobs.map((j) => j.id));
  const oldest = shown.more ? Math.min(...ids) : 0;
  return seen.filter((j) => j.id > oldest && !ids.has(j.id) && belongs(j, filter, username));
}

/** freshWords says how many jobs a list lacks: "3 new jobs". */
export function freshWords(shown: Shown, missing: Job[]): string {
  const newest = Math.max(0, ...shown.jobs.map((j) => j.id));
  const what = missing.every((j) => j.id > newest) ? 'new' : 'more';
  return `${missing.length} ${what} ${missing.length === 1 ? 'job' : 'jobs'}`;
}
