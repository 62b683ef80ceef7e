// SPDX-License-Identifier: AGPL-3.0-or-later

import { type Status, statuses } from '../../components/status';
import { kindWords } from '../../components/jobs';
import type { JobFilter } from '../../jobs/queries';
import type { JobsSearch } from '../../router';

/** The columns that the list is sorted by, as the API names them. */
export type SortedBy = 'id' | 'status';
type Sort = SortedBy | `-${SortedBy}`;

const sorts: Sort[] = ['-id', 'id', 'status', '-status'];

export const kinds = ['selective_transfer', 'batch_query', 'batch_transfer', 'mass_transfer'] as const;
type Kind = (typeof kinds)[number];

/** sortOf is what the list is sorted by; newest first by default. */
export function sortOf(search: JobsSearch): Sort {
  return sorts.find((s) => s === search.sort) ?? '-id';
}

/** sortedAnew turns the order of a column that the list is sorted by already. The newest come first at first. */
export function sortedAnew(search: JobsSearch, by: SortedBy): JobsSearch {
  const now = sortOf(search);
  const first: Sort = by === 'id' ? '-id' : by;
  const other: Sort = by === 'id' ? 'id' : `-${by}`;
  const next = now === first ? other : first;
  return { ...search, sort: next === '-id' ? undefined : next };
}

/** statusesOf are the statuses that are chosen; what is none is left out. */
export function statusesOf(search: JobsSearch): Status[] {
  const named = search.status?.split(',') ?? [];
  return statuses.filter((s) => named.includes(s));
}

/** toggled chooses a status, or chooses it no longer. */
export function toggled(search: JobsSearch, status: Status): JobsSearch {
  const was = statusesOf(search);
  const now = was.includes(status) ? was.filter((s) => s !== status) : [...was, status];
  return { ...search, status: now.join(',') || undefined };
}

/** filterOf is what the address says, in the words of the API. Only staff sees the jobs of others. */
export function filterOf(search: JobsSearch, staff: boolean): NonNullable<JobFilter> {
  const status = statusesOf(search);
  return {
    mine: search.all && staff ? undefined : 'true',
    status: status.length > 0 ? status : undefined,
    kind: kinds.find((k): k is Kind => k === search.kind),
    source: search.source,
    destination: search.destination,
    project: search.project,
    sort: sortOf(search),
  };
}

/** counting is a filter for counts, which are by status, and sorted by nothing. */
export function counting({ mine, kind, source, destination, project }: NonNullable<JobFilter>): JobFilter {
  return { mine, kind, source, destination, project };
}

/** Narrowing is a filter besides the status, with the words to take it away by. */
export type Narrowing = { by: 'kind' | 'source' | 'destination' | 'project'; words: string };

export function narrowings({ kind, source, destination, project }: JobsSearch): Narrowing[] {
  const all: (Narrowing | false | undefined)[] = [
    kind !== undefined && { by: 'kind', words: kindWords(kind) },
    source !== undefined && { by: 'source', words: `From ${source}` },
    destination !== undefined && { by: 'destination', words: `To ${destination}` },
    project !== undefined && { by: 'project', words: `Project ${project}` },
  ];
  return all.filter((n) => n !== false && n !== undefined);
}

/** cleared takes all filters away; whose jobs they are and the order stay. */
export function cleared({ all, sort }: JobsSearch): JobsSearch {
  return { all, sort };
}

/** numberOf reads the number of a job as people type it: "1204", "#1204", "Job 1,204"; undefined: it is none. */
export function numberOf(text: string): string | undefined {
  return /^(?:job\s*)?#?\s*0*([1-9]\d{0,14})$/i.exec(text.trim().replaceAll(',', ''))?.[1];
}
