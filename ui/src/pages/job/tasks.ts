// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, Task } from '../../api';
import { asks, isMass } from '../../components/jobs';
import { daysOf } from '../../mass/words';
import { final, type Status, statuses, total } from '../../components/status';
import { counted } from '../../format/numbers';
import { block } from '../../jobs/job';
import { byYourClock, reason, sentence } from '../../jobs/words';

/** TaskStatus is a status that tasks can have. */
export type TaskStatus = Exclude<Status, 'unverified' | 'canceling'>;

/** taskStatus reads a status from the address; undefined: all tasks are shown. */
export function taskStatus(text: string | undefined): TaskStatus | undefined {
  if (text === 'unverified' || text === 'canceling') return undefined;
  return statuses.find((s) => s === text) as TaskStatus | undefined;
}

/** shownTasks counts the tasks that a status chooses. */
export function shownTasks(job: Job, status: TaskStatus | undefined): number {
  return status ? job.tasks[status] : total(job.tasks);
}

const near = 20; // rows before the end of a block at which the next one is asked for

/** blocksFor are the blocks of tasks that rows from first to last need, and those that begin close by. */
export function blocksFor(first: number, last: number, count: number): number[] {
  if (count === 0) return [];
  const from = Math.floor(Math.max(0, first - near) / block);
  const to = Math.floor(Math.min(count - 1, last + near) / block);
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
}

/** taskSays says what becomes of a task, or why it waits. */
export function taskSays(task: Task, asked = false): string {
  if (final(task.status)) return sentence(task.message);
  if (task.status === 'pending') {
    const clock = byYourClock(task);
    return task.why_waiting ? `Waits: ${reason(task)}${clock && `. ${clock}`}` : 'Begins in a moment.';
  }
  if (task.message) return sentence(task.message);
  if (asked) return 'The source is being asked.';
  return task.expected === 0 ? 'Asking the source what belongs to the study.' : 'On the way.';
}

/** triesSay tells that a task was tried before; empty: it was not. */
export function triesSay(task: Task): string {
  return task.failures > 0 ? `${counted(task.failures, 'attempt')} failed` : '';
}

/**
 * whose names the patient of a task, and what the name is: the pseudonyms that were given with the job, else Patient
 * IDs. ADIT's own choice of pseudonyms stands in the linkage table alone.
 */
export function whose(task: Task, job: Job): string {
  const days = daysOf(task);
  if (days) return days;
  if (asks(job)) return task.rows?.join(', ') ?? '–';
  return (whoseWords(job) === 'Pseudonym' ? task.pseudonym : task.patient_id) ?? '–';
}

export function whoseWords(job: Job): 'Pseudonym' | 'Patient ID' | 'Row of the file' | 'Days or patient' {
  if (isMass(job)) return 'Days or patient';
  if (asks(job)) return 'Row of the file';
  return job.deidentified && !job.pseudonymize ? 'Pseudonym' : 'Patient ID';
}
