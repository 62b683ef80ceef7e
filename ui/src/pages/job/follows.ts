// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, ServerNow } from '../../api';
import { counted } from '../../format/numbers';
import { when } from '../../format/times';

/**
 * follows says what comes next for the studies of a job that wait, as far as the schedules of its servers tell; empty:
 * nothing is known, or the reason itself says it.
 */
export function follows(job: Job, servers: ServerNow[], now = new Date()): string {
  if (job.paused) return 'It goes on when somebody continues it.';
  const sentences = [job.source, job.destination]
    .map((name) => servers.find((s) => s.name === name))
    .map((server) => (server ? ofServer(server, job, now) : ''));
  return [...new Set(sentences.filter(Boolean))].join(' ');
}

function ofServer(s: ServerNow, job: Job, now: Date): string {
  const said = (word: string) => job.why_waiting?.includes(word) ?? false;
  if (s.paused) return `It goes on when staff continues ${s.name}.`;
  if (s.down) return s.next_probe ? `ADIT asks ${s.name} again ${inTime(s.next_probe, now)}.` : '';
  if (s.in_force.batch === 0) {
    return s.opens && !said('opens at') ? `${s.name} takes jobs again ${inTime(s.opens, now)}.` : '';
  }
  if (!s.until) return '';
  const until = new Date(s.until);
  const done = job.ready_at !== undefined && new Date(job.ready_at) <= until;
  const at = when(until, now).replace(/^today /, '');
  const connections = counted(s.in_force.batch, 'connection');
  return done ? '' : `${s.name} allows jobs ${connections} until ${at}; then other limits apply.`;
}

// "at 16:31" today, else "tomorrow 06:00" or the date.
function inTime(iso: string, now: Date): string {
  const words = when(new Date(iso), now);
  return words.startsWith('today ') ? `at ${words.slice('today '.length)}` : words;
}
