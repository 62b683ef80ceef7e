// SPDX-License-Identifier: AGPL-3.0-or-later

import { count } from '../format/numbers';
import { type Ends, parts, type Partitions, partsIn } from './days';
import { type FilterForm, filterSays } from './filters';

/** looksSays says what is looked through: "366 days are looked through at PACS-A, one after the other." */
export function looksSays(ends: Ends, partitions: Partitions, source: string): string {
  const n = partsIn(ends, partitions);
  const are = n === 1 ? 'is' : 'are';
  return `${parts(n, partitions)} ${are} looked through at ${source}${n === 1 ? '' : ', one after the other'}.`;
}

/** Takes is what is taken by some filters, as parts of a sentence: WHAT GOES to RESEARCH, EXCEPT. */
export type Takes = { what: string; goes: string; except: string };

/** takesOf says what is taken: "CT series of adults", "What fits one of 3 filters". */
export function takesOf(filters: FilterForm[]): Takes {
  const taking = filters.filter((f) => !f.exclude);
  const leaving = filters.filter((f) => f.exclude);
  const [take, leave] = [taking[0], leaving[0]];
  let except = '';
  if (leave) {
    const left = filterSays(leave).replace(/^S(?=eries)/, 's');
    except = `, except ${leaving.length === 1 ? left : `what ${count(leaving.length)} filters leave out`}`;
  }
  if (!take || taking.length > 1)
    return { what: `What fits one of ${count(taking.length)} filters`, goes: 'goes', except };
  const says = filterSays(take);
  return { what: says.includes(',') ? `${says},` : says, goes: 'go', except };
}
