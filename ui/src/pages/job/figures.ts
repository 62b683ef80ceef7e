// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, QueryCount } from '../../api';
import { asks } from '../../components/jobs';
import { endedOf, partsWord } from '../../mass/words';
import type { MassTransfer } from '../../api';
import type { Figure } from '../../components/layout';
import { delivered, final, total } from '../../components/status';
import { bytes, count, counted, perSecond } from '../../format/numbers';
import { clock, lasting, ready, took, when } from '../../format/times';

/** figuresOf are the numbers at the top of a job's page. What nobody can know yet is a dash. */
export function figuresOf(job: Job, now = new Date(), found?: QueryCount, mass?: MassTransfer): Figure[] {
  if (asks(job)) return queryFigures(job, now, found);
  const looked = mass && lookedThrough(mass);
  if (mass?.dry_run && looked) return [looked, ...(final(job.status) ? past(job, now) : [readyAt(job, now)])];
  const looking = mass && endedOf(mass.looked) < mass.looked.all;
  const studies = mass
    ? { done: mass.moved.success + mass.moved.warning, all: mass.moved.all }
    : { done: delivered(job.tasks), all: total(job.tasks) };
  const common = [
    ...(looked && looking ? [looked] : []),
    { label: 'Studies delivered', value: count(studies.done), small: `of ${count(studies.all)}` },
    { label: 'Images delivered', value: count(job.delivered), small: expected(job) },
    ...(looking ? [] : [{ label: 'Size', value: bytes(job.bytes), small: size(job) }]), // there is room for five
  ];
  return final(job.status) ? [...common, ...past(job, now)] : [...common, pace(job), readyAt(job, now)];
}

function lookedThrough(mass: MassTransfer): Figure {
  return {
    label: `${partsWord(mass)} looked through`,
    value: count(endedOf(mass.looked)),
    small: `of ${count(mass.looked.all)}`,
  };
}

function queryFigures(job: Job, now: Date, found?: QueryCount): Figure[] {
  const rows = total(job.tasks);
  const what = found?.of_series ? 'Series found' : 'Studies found';
  const small = found && (found.of_series ? `of ${counted(found.studies, 'study', 'studies')}` : '');
  const figures: Figure[] = [
    {
      label: 'Rows asked',
      value: count(rows - job.tasks.pending - job.tasks.in_progress),
      small: `of ${count(rows)}`,
    },
    { label: what, value: found ? count(found.of_series ? found.results : found.studies) : '–', small },
    { label: 'Patients', value: found ? count(found.patients) : '–', small: 'with results' },
  ];
  return [...figures, ...(final(job.status) ? past(job, now) : [readyAt(job, now)])];
}

// Studies that wait may not have been looked up yet: what they hold is not known.
const lookedUp = (job: Job) => job.tasks.pending === 0;

function expected(job: Job): string {
  if (job.expected === 0) return final(job.status) ? '' : 'not counted yet';
  return lookedUp(job) ? `of ${count(job.expected)}` : `of ${count(job.expected)} known so far`;
}

function size(job: Job): string {
  const left = job.expected > job.delivered && job.delivered > 0 && lookedUp(job) && !final(job.status);
  return left ? `of about ${bytes((job.bytes / job.delivered) * job.expected)}` : '';
}

function pace(job: Job): Figure {
  if (!job.rate) return { label: 'Now', value: '–', small: job.paused ? 'paused' : 'images/s' };
  const { instances_per_second: images, bytes_per_second: size } = job.rate;
  return { label: 'Now', value: perSecond(images), small: `images/s · ${bytes(size)}/s` };
}

function readyAt(job: Job, now: Date): Figure {
  if (!job.ready_at) return { label: 'Ready', value: '–', small: 'not known yet' };
  const at = new Date(job.ready_at);
  const today = when(at, now).startsWith('today');
  const small = today ? `in about ${lasting(at.getTime() - now.getTime())}` : ready(at, now);
  return { label: 'Ready', value: clock(at), small };
}

function past(job: Job, now: Date): Figure[] {
  if (!job.started_at || !job.ended_at) return [];
  const [from, to] = [new Date(job.started_at), new Date(job.ended_at)];
  return [{ label: 'Took', value: took(to.getTime() - from.getTime()), small: `ended ${when(to, now)}` }];
}
