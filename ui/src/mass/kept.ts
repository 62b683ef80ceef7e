// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job } from '../api';
import { type AboutForm, nothingAbout } from '../batch/kept';
import { Kept, useKept } from '../kept';
import type { Ends, Partitions } from './days';
import type { Again } from '../recurring/plan';
import { cardOf, type FilterForm, newFilter } from './filters';
import type { MassTransfer } from '../api';

/** MassForm is what somebody chose and typed for a mass transfer. */
export type MassForm = AboutForm &
  Ends & {
    partitions: Partitions;
    pseudonymize: boolean;
    filters: FilterForm[];
    /** When it runs again and again; absent: it runs once. */
    again?: Again;
    /** The filters as text, while they are written as such. */
    json?: string;
    /** The text has faults. */
    wrong: boolean;
  };

const empty = (): MassForm => ({
  ...nothingAbout,
  first: '',
  last: '',
  partitions: 'daily',
  pseudonymize: true,
  filters: [newFilter()],
  wrong: false,
});

// It lives in memory, so that one who comes back finds it; a reload forgets it.
const kept = new Kept<MassForm>(empty());

/** useMassForm gives the form of the page, and changes it. */
export function useMassForm() {
  return {
    form: useKept(kept),
    change: (part: Partial<MassForm>) => kept.set({ ...kept.get(), ...part }),
    clear: () => kept.set(empty()),
  };
}

/** takeBack puts what a job was asked to do into the form. */
export function takeBack(job: Job, mass: MassTransfer): void {
  kept.set({
    ...empty(),
    title: job.title ?? '',
    description: job.description ?? '',
    ethicsID: job.ethics_id ?? '',
    trialID: job.trial_protocol_id ?? '',
    trialName: job.trial_protocol_name ?? '',
    mail: job.mail_when_finished,
    first: mass.start_date,
    last: mass.end_date,
    partitions: mass.partitions,
    pseudonymize: job.deidentified !== undefined,
    filters: mass.filters.map(cardOf),
  });
}
