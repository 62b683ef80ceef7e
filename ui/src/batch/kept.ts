// SPDX-License-Identifier: AGPL-3.0-or-later

import { Kept, useKept } from '../kept';
import type { Again } from '../recurring/plan';
import type { Loaded } from './file';

/** BatchKind is a kind of job that is made from a file. */
export type BatchKind = 'batch_query' | 'batch_transfer';

/** Layout is how dates of a file are written that are text; empty: as 2026-11-12. */
export type Layout = '' | 'DD.MM.YYYY' | 'MM/DD/YYYY';

/** From where the patients of a batch transfer have their pseudonyms. */
export type Pseudonyms = 'project' | 'file' | 'none';

/** AboutForm is what somebody wrote about a job. */
export type AboutForm = {
  title: string;
  description: string;
  ethicsID: string;
  trialID: string;
  trialName: string;
  /** Absent: as one's preferences say. */
  mail?: boolean;
  urgent: boolean;
};

/** BatchForm is what somebody chose and typed for the job of a file. */
export type BatchForm = AboutForm & {
  dates: Layout;
  pseudonyms: Pseudonyms;
  /** When a batch query runs again and again; absent: it runs once. */
  again?: Again;
};

/** Batch is what a batch page holds. It lives in memory, so that one who comes back finds it; a reload forgets it. */
export type Batch = { form: BatchForm; file?: Loaded };

/** nothingAbout is what is written about a job at first. */
export const nothingAbout: AboutForm = {
  title: '',
  description: '',
  ethicsID: '',
  trialID: '',
  trialName: '',
  urgent: false,
};

const empty: BatchForm = { ...nothingAbout, dates: '', pseudonyms: 'project' };

const kept: Record<BatchKind, Kept<Batch>> = {
  batch_query: new Kept<Batch>({ form: empty }),
  batch_transfer: new Kept<Batch>({ form: empty }),
};

let files = 0;

/** putFile gives a file to the page of a kind. */
export function putFile(kind: BatchKind, name: string, base64: string): void {
  files++;
  kept[kind].set({ ...kept[kind].get(), file: { number: files, name, base64 } });
}

/** useBatch gives what the page of a kind holds. */
export function useBatch(kind: BatchKind) {
  const batch = useKept(kept[kind]);
  return {
    ...batch,
    change: (part: Partial<BatchForm>) =>
      kept[kind].set({ ...kept[kind].get(), form: { ...kept[kind].get().form, ...part } }),
    /** Forgets the file; what was typed stays. */
    discard: () => kept[kind].set({ form: kept[kind].get().form }),
    /** Forgets everything. */
    clear: () => kept[kind].set({ form: empty }),
  };
}
