// SPDX-License-Identifier: AGPL-3.0-or-later

import { count, counted } from '../format/numbers';
import { daysWords } from './calendar';
import type { MassCount, MassTasks, MassTransfer } from '../api';

/** partsWord is what the partitions of a mass transfer are: "Days" or "Weeks". */
export function partsWord(mass: Pick<MassTransfer, 'partitions'>): 'Days' | 'Weeks' {
  return mass.partitions === 'weekly' ? 'Weeks' : 'Days';
}

/** endedOf counts the tasks that have ended. */
export function endedOf(tasks: MassTasks): number {
  return tasks.success + tasks.warning + tasks.failure;
}

/** goesSays says what is transferred once a dry run is begun. */
export function goesSays(found: MassCount, pseudonymized: boolean, destination: string): string {
  const { patients, studies, series, instances, uncounted } = found;
  const images = uncounted > 0 ? `at least ${counted(instances, 'image')}` : counted(instances, 'image');
  const how = pseudonymized ? 'pseudonymized' : 'with their identity';
  return (
    `${count(series)} series of ${counted(studies, 'study', 'studies')}, ${images} of ` +
    `${counted(patients, 'patient')}, go ${how} to ${destination}.`
  );
}

/** gapsSays warns of what was not looked through, or not wholly; empty: all was. */
export function gapsSays(mass: MassTransfer): string {
  const [one, many] = mass.partitions === 'weekly' ? ['week', 'weeks'] : ['day', 'days'];
  const parts = [];
  const { failure, warning } = mass.looked;
  if (failure > 0) parts.push(`${counted(failure, one, many)} could not be looked through`);
  if (warning > 0) parts.push(`${counted(warning, one, many)} may have more`);
  return parts.length > 0 ? `${parts.join(', and ')}: a retry looks again.` : '';
}

/** daysOf names the days that a task of a mass transfer looks through; empty: it transfers a study. */
export function daysOf(task: { days?: string }): string {
  const [from = '', to = from] = task.days?.split('/') ?? [];
  return from && daysWords({ from, to });
}
