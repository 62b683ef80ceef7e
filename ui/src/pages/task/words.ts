// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, MissingInstance, Series, Task } from '../../api';
import { asks, counts, looks } from '../../components/jobs';
import { count, counted } from '../../format/numbers';
import { byYourClock, reason, sentence } from '../../jobs/words';

/** missing counts the images of a task that the destination has not acknowledged, as far as the source was asked. */
export function missing(task: Task): number {
  return Math.max(0, task.expected - task.delivered);
}

/** taskWords says what became of a task, or what happens with it: a heading, and what follows. */
export function taskWords(task: Task, job: Job): { title: string; says: string } {
  const delivered = `${count(task.delivered)} of ${counted(task.expected, 'image')} delivered to ${job.destination}.`;
  const known = task.expected > 0 ? delivered : '';
  switch (task.status) {
    case 'pending':
      return {
        title: task.why_waiting ? `Waits: ${reason(task)}`.replace(/\.?$/, '.') : 'Begins in a moment.',
        says: `${byYourClock(task)} ${known}`.trim(),
      };
    case 'in_progress':
      return {
        title: inProgress(task, job, delivered),
        says: '',
      };
    default:
      return { title: sentence(task.message), says: endSays(task, known) };
  }
}

function inProgress(task: Task, job: Job, delivered: string): string {
  if (task.expected > 0) return delivered;
  return asks(job) || looks(task)
    ? `${job.source} is being asked.`
    : `${job.source} is asked what belongs to the study.`;
}

function endSays(task: Task, known: string): string {
  const verified = task.verified > 0 ? ` ${count(task.verified)} found there afterwards.` : '';
  return `${known}${verified}`.trim();
}

/** Missed is an instance that is missing at the destination, and its series. */
export type Missed = MissingInstance & { series: string };

/** missed lists the instances of all series that are missing. */
export function missed(series: Series[]): Missed[] {
  return series.flatMap((s) => s.missing.map((m) => ({ ...m, series: s.series_instance_uid })));
}

/** fetchWords is what stands on the button that retries the job, for who looks at one of its tasks. */
export function fetchWords(task: Task, job: Job): string {
  const lacks = missing(task);
  if (job.tasks.failure > 1) return `Retry ${counts(job, job.tasks.failure, 'failed ')} of the job`;
  if (lacks === 0) return 'Try again';
  return lacks === 1 ? 'Fetch the missing image' : `Fetch the ${counted(lacks, 'missing image')}`;
}

/** mayRetry reports whether a retry of the job is sure to take up a task: of those with a warning, some need none. */
export function mayRetry(task: Task, job: Job): boolean {
  return (job.status === 'failure' || job.status === 'warning') && task.status === 'failure';
}
