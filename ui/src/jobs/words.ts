// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job } from '../api';
import { plain } from '../api/words';
import { asks, counts, isMass } from '../components/jobs';
import { delivered, final, total } from '../components/status';
import { count, perSecond } from '../format/numbers';
import { clock, ready, when } from '../format/times';

/** sentence writes what the API says within a sentence as one of its own. */
export function sentence(text: string): string {
  const t = plain(text.trim());
  if (t === '') return '';
  const first = t.charAt(0).toUpperCase() + t.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/**
 * byYourClock tells when something goes on by the reader's clock, if the sentence that says why it waits names the time
 * of another zone; empty: it does not.
 */
export function byYourClock(of: Waited, now = new Date()): string {
  const { waiting_until: until } = of;
  const why = reason(of, now);
  if (why !== of.why_waiting) return '';
  const named: string[] = why.match(/\bat \d\d:\d\d\b/g) ?? [];
  if (!until || named.includes(`at ${clock(new Date(until))}`)) return '';
  return `By your clock ${named.length > 1 ? 'the last of these' : 'this'} is ${when(new Date(until), now)}.`;
}

const instant = /\bat \d\d:\d\d(?: on \w{3} \d{4}-\d\d-\d\d)? \([^)]+\)/g;

/** Waited is something that waits, as the API tells why. */
type Waited = Pick<Job, 'why_waiting' | 'waiting_until'>;

/** reason is why something waits. The one instant that it names, until which it waits, is told by the reader's clock. */
export function reason({ why_waiting: why = '', waiting_until: until }: Waited, now = new Date()): string {
  if (!until || why.match(instant)?.length !== 1) return why;
  return why.replace(instant, when(new Date(until), now));
}

/** whyWaits says why something waits. */
export function whyWaits(of: Waited, now = new Date()): string {
  return `${sentence(reason(of, now))} ${byYourClock(of, now)}`.trim();
}

/** waits reports whether a job that has not ended does nothing now. */
export function waits(job: Job): boolean {
  return !final(job.status) && job.tasks.in_progress === 0 && job.status !== 'canceling';
}

/** pace says how fast a job is and when it will be ready: "61 images/s, ready about 23:10"; empty: nothing is known. */
export function pace(job: Job, now = new Date()): string {
  const parts = [];
  if (job.rate && !asks(job)) parts.push(`${perSecond(job.rate.instances_per_second)} images/s`);
  if (job.ready_at) parts.push(`ready ${ready(new Date(job.ready_at), now)}`);
  return parts.join(', ');
}

/** happens says in a sentence what happens with a job now, why it waits, or how it ended. */
export function happens(job: Job, now = new Date()): string {
  if (final(job.status)) return sentence(job.message);
  if (job.status === 'canceling') {
    const running = counts(job, job.tasks.in_progress, 'running ');
    return asks(job) || isMass(job) ? `${running} will stop.` : `${running} will stop at the next image.`;
  }
  if (waits(job) && job.why_waiting) return whyWaits(job, now);
  if (waits(job)) return 'It begins in a moment.';
  return (
    pace(job, now) || `${counts(job, job.tasks.in_progress)} ${asks(job) ? 'being asked' : 'on the way'}.`
  );
}

/** studiesDone says how many studies of a job were delivered, or rows asked: "312 of 500". */
export function studiesDone(job: Job): string {
  return `${count(delivered(job.tasks))} of ${count(total(job.tasks))}`;
}

/** wronglyNamed reports whether a task failed since the source has no such study of this patient. */
export function wronglyNamed(message: string): boolean {
  return /\b(?:check the Study Instance UID|correct the PatientID)\b/i.test(message);
}
