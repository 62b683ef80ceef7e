// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Recurrence } from '../api';
import { plain } from '../api/words';
import { kindWords } from '../components/jobs';
import { count, counted } from '../format/numbers';
import { when } from '../format/times';
import type { Question } from '../jobs/actions';
import { cardOf } from '../mass/filters';
import { takesOf } from '../mass/will';

/** aboutSays says what each run is about: "CT series of adults", "12 searches". */
export function aboutSays({ kind, filters = [], rows = 0 }: Recurrence): string {
  if (kind === 'batch_query') return counted(rows, 'search', 'searches');
  const { what, except } = takesOf(filters.map(cardOf));
  return what.replace(/,$/, '') + except;
}

/** nextSays says when it runs next: "Next: tomorrow 02:00". */
export function nextSays({ paused, next_at: next }: Recurrence, now = new Date()): string {
  if (!next) return 'It runs no more.';
  return paused ? 'Paused' : `Next: ${when(new Date(next), now)}`;
}

/** LastRun is how the last run went: the job of it, if there is one, and what is said after its number. */
export type LastRun = { job?: number; says: string };

export function lastRun({ message = '', job_id: job }: Recurrence): LastRun {
  const [, named, rest = ''] = /^Job (\d+) (.*)$/.exec(message) ?? [];
  if (named) return { job: Number(named), says: rest };
  if (message) return { says: plain(message) };
  return job ? { job, says: 'goes on.' } : { says: 'It has not run yet.' };
}

/** nameOf is what people call it: “Stroke imaging”, else "Mass Transfer 3". */
function nameOf({ title, kind, id }: Recurrence): string {
  return title ? `“${title}”` : `${kindWords(kind)} ${id}`;
}

/** removing is what has to be asked before it is removed. */
export function removing(r: Recurrence): Question {
  const jobs =
    r.runs === 1 ? 'The job that it has made stays' : `The ${count(r.runs)} jobs that it has made stay`;
  return {
    title: `Remove ${nameOf(r)}?`,
    says: `It runs no more. ${r.runs > 0 ? `${jobs}, with what was found and delivered; a run that goes on is not stopped. ` : ''}To stop it for a while, pause it instead.`,
    keep: 'Keep it',
    go: 'Remove',
  };
}
