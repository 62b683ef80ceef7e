// SPDX-License-Identifier: AGPL-3.0-or-later

import { counted } from '../format/numbers';

const words: Record<string, string> = {
  selective_transfer: 'Selective Transfer',
  batch_query: 'Batch Query',
  batch_transfer: 'Batch Transfer',
  mass_transfer: 'Mass Transfer',
  upload: 'Upload',
};

/** kindWords says what kind a job is of. */
export function kindWords(kind: string): string {
  return words[kind] ?? kind;
}

/** asks reports whether a job of a kind only asks servers: it moves nothing, and has results instead. */
export function asks(job: { kind: string }): boolean {
  return job.kind === 'batch_query';
}

/** counts writes how many of its tasks are meant, as people call them: "3 studies"; of a batch query "3 rows". */
export function counts(job: { kind: string }, n: number, before = ''): string {
  return asks(job) ? counted(n, `${before}row`) : counted(n, `${before}study`, `${before}studies`);
}
