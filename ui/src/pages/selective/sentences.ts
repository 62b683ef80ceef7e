// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, NewJob, ServerNow } from '../../api';
import type { Selection, Summary } from '../../components/selection';
import { count, counted } from '../../format/numbers';
import { clock, when } from '../../format/times';

/** Outlook says when a transfer will run. */
export type Outlook = { says: string; waits: boolean };

/** whenItRuns says when a transfer from a source will run; its destination is named only if that holds it up. */
export function whenItRuns(source: ServerNow, destination?: ServerNow, now = new Date()): Outlook {
  const held = heldUp(source, now) ?? (destination && heldUp(destination, now));
  if (held) return { says: held, waits: true };
  const { name, takes } = source;
  const most = source.in_force.batch;
  const until = source.until ? ` until ${end(new Date(source.until), now)}` : '';
  if (takes !== undefined && takes < most) {
    const says = `Transfers start at once: ${name} takes ${takes} of ${most} at a time now, since it refused more.`;
    return { says, waits: false };
  }
  if (source.batch_in_use >= most) {
    const says = `${name} is busy with other transfers, ${most} at a time; this one takes its turn.`;
    return { says, waits: false };
  }
  return { says: `Transfers start at once: ${name} takes ${most} at a time${until}.`, waits: false };
}

/** heldUp says why no transfer with a server starts now, if none does. */
function heldUp(server: ServerNow, now: Date): string | undefined {
  const { name } = server;
  if (server.down) return `${name} is not reachable now; the transfer waits.`;
  if (server.paused) return `${name} is paused by staff; the transfer waits.`;
  if (server.in_force.batch === 0) {
    const closed = `${name} is closed for jobs`;
    return server.opens
      ? `${closed} until ${end(new Date(server.opens), now)}; the transfer waits.`
      : `${closed}, and no opening time is planned; the transfer waits.`;
  }
  if (server.takes === 0) return `${name} refuses transfers now; the transfer waits.`;
  return undefined;
}

/** Within a day the time says enough. */
function end(t: Date, now: Date): string {
  return t.getTime() - now.getTime() < 86_400_000 ? clock(t) : when(t, now);
}

/** goneSays tells of a source and a destination that were chosen last and can't be used any more; empty: they can. */
export function goneSays(source = '', destination = ''): string {
  if (source && destination && source !== destination) {
    return `${source} and ${destination} are not there any more, or you may not use them. Choose others.`;
  }
  const name = source || destination;
  return name && `${name} is not there any more, or you may not use it. Choose another one.`;
}

/** whatGoes says what a selection holds: "2 studies and 2 series of another, 1,057 images". */
export function whatGoes({ studies, series, seriesOf, images }: Summary): string {
  const others = seriesOf === 1 ? (studies ? 'another' : 'a study') : counted(seriesOf, 'other', 'others');
  const apart = studies || seriesOf === 1 ? others : counted(seriesOf, 'study', 'studies');
  const parts = [
    studies > 0 && counted(studies, 'study', 'studies'),
    series > 0 && `${count(series)} series of ${apart}`,
  ];
  const what = parts.filter(Boolean).join(' and ');
  return images === undefined ? what : `${what}, ${counted(images, 'image')}`;
}

/** leftOut says which of what is picked is not sent under a pseudonym, since it is of a modality that is left out then. */
export function leftOut(selection: Selection, excluded: readonly string[]): string {
  const found = new Set<string>();
  let empty = 0;
  for (const { study, series } of selection.values()) {
    const has = series === 'all' ? study.modalities_in_study : [...series.values()].map((s) => s.modality);
    const out = has.filter((m) => excluded.includes(m));
    out.forEach((m) => found.add(m));
    if (out.length > 0 && out.length === has.length) empty++;
  }
  if (found.size === 0) return '';
  const says = `Series of modality ${[...found].sort().join(', ')} are left out: they may show who the patient is.`;
  if (empty === 0) return says;
  return `${says} ${empty === selection.size ? 'Nothing is left to be sent' : `Of ${counted(empty, 'study', 'studies')} nothing is left`}.`;
}

/** Pseudonyms is how the patients of a job are named at the destination. */
export type Pseudonyms = 'project' | 'typed' | 'none';

/** tooMany is what is said to those who may put only so many studies into a job; empty: it is not too much. */
export function tooMany(picked: number, allowed: number): string {
  if (picked <= allowed) return '';
  return `${counted(picked, 'study', 'studies')} are picked, but only ${allowed} go in one job. Remove ${picked - allowed}.`;
}

export type Options = {
  source: string;
  destination: string;
  pseudonyms: Pseudonyms;
  pseudonym: string;
  project: string;
  trialID: string;
  trialName: string;
  mail: boolean;
  urgent: boolean;
};

/** newJob is the job that transfers a selection. */
export function newJob(selection: Selection, options: Options): NewJob {
  const pseudonym = options.pseudonyms === 'typed' ? options.pseudonym.trim() : undefined;
  return {
    kind: 'selective_transfer' satisfies Job['kind'],
    source: options.source,
    destination: options.destination,
    project: options.project || undefined,
    pseudonymize: options.pseudonyms === 'project' || undefined,
    trial_protocol_id: options.trialID.trim() || undefined,
    trial_protocol_name: options.trialName.trim() || undefined,
    mail_when_finished: options.mail || undefined,
    urgent: options.urgent || undefined,
    studies: [...selection.values()].map(({ study, series }) => ({
      study_instance_uid: study.study_instance_uid,
      patient_id: study.patient_id || undefined,
      series_instance_uids: series === 'all' ? undefined : [...series.keys()],
      pseudonym,
    })),
  };
}
