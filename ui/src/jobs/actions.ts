// SPDX-License-Identifier: AGPL-3.0-or-later

import {
  cancelJob,
  changeJob,
  continueJob,
  deleteJob,
  type Job,
  type Me,
  pauseJob,
  restartJob,
  resumeJob,
  retryJob,
  verifyJob,
} from '../api';
import { asks, counts, isMass, nounOf } from '../components/jobs';
import { final, total } from '../components/status';
import { count } from '../format/numbers';
import { can } from '../session/me';
import { askJob } from './queries';

/** JobAction is something that people do to a job. */
export type JobAction =
  | 'verify'
  | 'continue'
  | 'pause'
  | 'retry'
  | 'resume'
  | 'hurry'
  | 'unhurry'
  | 'cancel'
  | 'restart'
  | 'delete';

const open = (job: Job) => job.status === 'pending' || job.status === 'in_progress';

/** What has to hold of a job, and of who acts, besides that they may see it. The server holds the same rules. */
const rules: Record<JobAction, (job: Job, me: Me) => boolean> = {
  verify: (job, me) => job.status === 'unverified' && me.is_staff,
  continue: (job) => open(job) && job.paused,
  pause: (job) => open(job) && !job.paused,
  retry: (job) => job.status === 'failure' || job.status === 'warning',
  resume: (job) => job.status === 'canceled',
  hurry: (job, me) => (open(job) || job.status === 'unverified') && !job.urgent && can(me, 'urgent'),
  unhurry: (job) => (open(job) || job.status === 'unverified') && job.urgent,
  cancel: open,
  restart: (job, me) => final(job.status) && me.is_staff,
  delete: (job, me) =>
    final(job.status)
      ? me.is_staff
      : (job.status === 'unverified' || job.status === 'pending') && job.started_at === undefined,
};

/** allowedActions are what somebody may do now to a job that they see, in the order of a menu. */
export function allowedActions(job: Job, me: Me): JobAction[] {
  return (Object.keys(rules) as JobAction[]).filter((action) => rules[action](job, me));
}

/** actionWords is what stands on the button of an action; "…" says that something is asked first. */
export function actionWords(action: JobAction, job: Job): string {
  switch (action) {
    case 'verify':
      return 'Verify, and let it run';
    case 'continue':
      return 'Continue';
    case 'pause':
      return 'Pause';
    case 'retry':
      if (job.tasks.failure > 0) return `Retry ${counts(job, job.tasks.failure, 'failed ')}`;
      if (isMass(job)) return 'Try again';
      return asks(job) ? 'Ask again' : 'Verify again';
    case 'resume':
      return `Resume ${counts(job, job.tasks.canceled)}`;
    case 'hurry':
      return 'Mark as urgent';
    case 'unhurry':
      return 'Unmark as urgent';
    case 'cancel':
      return 'Cancel…';
    case 'restart':
      if (isMass(job)) return 'Begin again…';
      return asks(job) ? 'Ask everything again…' : 'Send everything again…';
    case 'delete':
      return 'Delete…';
  }
}

/** Question is what somebody is asked before something is lost. */
export type Question = {
  title: string;
  /** What will happen, and what stays. */
  says: string;
  keep: string;
  go: string;
};

/** questionOf is what has to be asked before an action; null: nothing, it can be taken back. */
export function questionOf(action: JobAction, job: Job): Question | null {
  switch (action) {
    case 'cancel':
      return {
        title: `Cancel job ${job.id}?`,
        says: cancels(job),
        keep: job.status === 'in_progress' ? 'Keep it running' : 'Keep it',
        go: 'Cancel job',
      };
    case 'restart':
      if (asks(job)) {
        return {
          title: `Ask everything of job ${job.id} again?`,
          says: `${allRows(job)} asked of ${job.source} again. What was found before is forgotten.`,
          keep: 'Leave it as it is',
          go: 'Ask again',
        };
      }
      if (isMass(job)) {
        return {
          title: `Begin job ${job.id} again?`,
          says:
            `All days are looked through at ${job.source} again. What was found before is forgotten. ` +
            'To go on with what is missing, retry the job instead.',
          keep: 'Leave it as it is',
          go: 'Begin again',
        };
      }
      return {
        title: `Send everything of job ${job.id} again?`,
        says:
          `${capital(allStudies(job))} from ${job.source} to ${job.destination} again, ` +
          'with what has arrived already. To send only what is missing, retry the job instead.',
        keep: 'Leave it as it is',
        go: 'Send again',
      };
    case 'delete':
      return {
        title: `Delete job ${job.id}?`,
        says: deletes(job),
        keep: 'Keep it',
        go: 'Delete job',
      };
    default:
      return null;
  }
}

function cancels(job: Job): string {
  const { in_progress: running, pending } = job.tasks;
  const parts = [];
  const at = asks(job) || isMass(job) ? '' : ' at the next image';
  if (running === 1) parts.push(`the running ${nounOf(job)[0]} stops${at}`);
  if (running > 1) parts.push(`the ${counts(job, running, 'running ')} stop${at}`);
  if (pending > 0) {
    const of = running > 0 ? count(pending) : counts(job, pending);
    parts.push(`${of} will not be ${doneTo(job)}`);
  }
  const sentences = [`${capital(parts.join(', and '))}.`];
  if (asks(job) || isMass(job)) sentences.push('What was found stays.');
  if (job.delivered > 0) sentences.push(`What has been delivered stays at ${job.destination}.`);
  sentences.push('You can resume the job later.');
  return sentences.join(' ');
}

/** doneTo is what happens to the tasks of a job. */
function doneTo(job: Job): string {
  if (isMass(job)) return 'begun';
  return asks(job) ? 'asked' : 'sent';
}

function deletes(job: Job): string {
  if (!final(job.status)) return `Nothing of it has been ${doneTo(job)}, and nothing will be.`;
  const stays = job.delivered > 0 ? ` What has been delivered stays at ${job.destination}.` : '';
  const n = total(job.tasks);
  if (asks(job))
    return `ADIT forgets the job and what it has found for its ${counts(job, n)}. This cannot be undone.`;
  if (isMass(job))
    return `ADIT forgets the job, what it has found and what became of it.${stays} This cannot be undone.`;
  const whose = n === 1 ? 'its study' : `its ${count(n)} studies`;
  return `ADIT forgets the job and what became of ${whose}.${stays} This cannot be undone.`;
}

function allRows(job: Job): string {
  const n = total(job.tasks);
  return n === 1 ? 'The row is' : `All ${count(n)} rows are`;
}

function allStudies(job: Job): string {
  const n = total(job.tasks);
  return n === 1 ? 'the study goes' : `all ${count(n)} studies go`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** done says that an action was done, to who does not see it. */
export function done(action: JobAction, job: Job): string {
  const what: Record<JobAction, string> = {
    verify: 'is verified',
    continue: 'continues',
    pause: 'is paused',
    retry: 'is tried again',
    resume: 'is resumed',
    hurry: 'is urgent now',
    unhurry: 'is not urgent any more',
    cancel: 'is canceled',
    restart: 'begins again',
    delete: 'is deleted',
  };
  return `Job ${job.id} ${what[action]}.`;
}

/** act does an action, and gives the job as it is then; null: it is gone. */
export async function act(action: JobAction, id: number): Promise<Job | null> {
  if (action !== 'delete') return askJob(() => sent(action, id));
  await deleteJob({ path: { id } });
  return null;
}

function sent(action: Exclude<JobAction, 'delete'>, id: number): Promise<{ data: Job }> {
  const path = { id };
  switch (action) {
    case 'verify':
      return verifyJob({ path });
    case 'continue':
      return continueJob({ path });
    case 'pause':
      return pauseJob({ path });
    case 'retry':
      return retryJob({ path });
    case 'resume':
      return resumeJob({ path });
    case 'hurry':
      return changeJob({ path, body: { urgent: true } });
    case 'unhurry':
      return changeJob({ path, body: { urgent: false } });
    case 'cancel':
      return cancelJob({ path });
    case 'restart':
      return restartJob({ path });
  }
}
