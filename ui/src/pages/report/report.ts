// SPDX-License-Identifier: AGPL-3.0-or-later

import type { HeldBack, Job, JobDeidentification } from '../../api';
import type { Figure } from '../../components/layout';
import { final, type Status } from '../../components/status';
import { count, counted } from '../../format/numbers';
import { notSent, notSentSays } from '../../jobs/notSent';

/** Verdict is what the report says first. It never says more than what is known. */
export type Verdict = { tone: Status; title: string; says: string };

const studies = (n: number, one: string, many: string) => counted(n, `study ${one}`, `studies ${many}`);

/** verdict says whether studies of a job went out with the identity of their patients. */
export function verdict(job: Job, sum: JobDeidentification): Verdict {
  const openly = sum.studies - sum.to_pseudonymize;
  if (sum.with_identity > 0) return withIdentity(job, sum);
  if (!job.deidentified) {
    return {
      tone: 'warning',
      title: 'This job does not de-identify.',
      says: 'Its studies are sent with the identity of their patients. Nothing of them has been delivered.',
    };
  }
  if (sum.pseudonymized === 0) {
    const says = openly === 0 ? 'What this job sends, it sends under a pseudonym.' : still(openly);
    return { tone: openly === 0 ? 'pending' : 'warning', title: 'Nothing has been delivered.', says };
  }
  const says = [
    `${studies(sum.pseudonymized, 'was', 'were')} delivered, by one profile in one version.`,
    notSentSays(sum),
  ];
  if (openly > 0) {
    return {
      tone: 'warning',
      title: 'What was delivered went out under a pseudonym.',
      says: [...says, still(openly)].filter(Boolean).join(' '),
    };
  }
  const all = final(job.status) && sum.pseudonymized === sum.studies;
  const title = all
    ? 'Every study was sent under a pseudonym.'
    : 'Every study that was sent went out under a pseudonym.';
  return { tone: 'success', title, says: says.filter(Boolean).join(' ') };
}

function withIdentity(job: Job, sum: JobDeidentification): Verdict {
  const n = sum.with_identity;
  const says = [];
  if (!job.deidentified) says.push('This job does not de-identify.');
  if (sum.pseudonymized > 0)
    says.push(`${studies(sum.pseudonymized, 'was', 'were')} sent under a pseudonym.`);
  says.push(notSentSays(sum));
  return {
    tone: 'warning',
    title:
      n === 1 ? '1 study was sent with its identity.' : `${count(n)} studies were sent with their identity.`,
    says: says.filter(Boolean).join(' '),
  };
}

const still = (openly: number) =>
  `${studies(openly, 'of this job is', 'of this job are')} sent with identity; nothing of that has been delivered.`;

/** caution is said in every report. */
export function caution(sum: JobDeidentification): string {
  if (sum.to_pseudonymize === 0) {
    return 'What leaves ADIT under a pseudonym is pseudonymized, not anonymous; nothing of this job does.';
  }
  const what = sum.to_pseudonymize < sum.studies ? 'under a pseudonym ' : '';
  return (
    `What leaves ADIT ${what}is pseudonymized, not anonymous. Whoever has the project’s key or its linkage table ` +
    'can tell which patient it belongs to.'
  );
}

/** figuresOf are the numbers of a report. */
export function figuresOf(job: Job, sum: JobDeidentification): Figure[] {
  const sent = sum.pseudonymized + sum.with_identity;
  const openly = (n: number) => (n > 0 ? `${count(n)} with identity` : '');
  const asked = `of ${count(sum.studies)} requested`;
  const common: Figure[] = [
    {
      label: 'Studies delivered',
      value: count(sent),
      small: [asked, openly(sum.with_identity)].filter(Boolean).join(', '),
    },
    {
      label: 'Images delivered',
      value: count(sum.instances + sum.instances_with_identity),
      small: openly(sum.instances_with_identity),
    },
  ];
  if (!job.deidentified) return common;
  const { byRule, unsafe, uncounted, more } = notSent(sum);
  const small = (also: string) => ['images, not sent', more && 'or more', also].filter(Boolean).join(', ');
  const series = uncounted.length > 0 ? `and series of ${uncounted.join(', ')}` : '';
  return [
    {
      label: 'Pseudonyms',
      value: count(sum.patients),
      small: sum.patients > 0 ? 'one for each patient' : undefined,
    },
    ...common,
    {
      label: 'Left out by rule',
      // No number stands where the source has none.
      value: byRule === 0 && series ? '–' : count(byRule),
      small: byRule === 0 && series ? `series of ${uncounted.join(', ')}, not counted` : small(series),
    },
    { label: 'Could not be de-identified', value: count(unsafe), small: small('') },
  ];
}

const actions: [name: string, words: string][] = [
  ['keep', 'Kept as it was'],
  ['assign', 'Replaced by the pseudonym, or written by ADIT'],
  ['uid', 'New UID'],
  ['shift', 'Date shifted'],
  ['truncate', 'Date reduced to its year'],
  ['clean', 'Text cleaned'],
  ['hash', 'Replaced by a code'],
  ['replace', 'Replaced by what the profile says'],
  ['regex', 'Changed by a pattern of the profile'],
  ['dummy', 'Replaced by a value that says nothing'],
  ['empty', 'Emptied'],
  ['remove', 'Removed'],
];

/** Treated is how many attributes were treated in a way. */
export type Treated = { name: string; words: string; n: number };

/** treated lists how many attributes were treated in which way; what never happened is left out. */
export function treated(attributes: Record<string, number>): Treated[] {
  const known = actions.map(([name, words]) => ({ name, words, n: attributes[name] ?? 0 }));
  const others = Object.entries(attributes)
    .filter(([name]) => !actions.some(([a]) => a === name))
    .map(([name, n]) => ({ name, words: name, n }));
  return [...known, ...others].filter((t) => t.n > 0);
}

/** short writes a large number as people say it: "16.9 million". */
export function short(n: number): string {
  return n >= 999_950 ? `${Number((n / 1_000_000).toFixed(1))} million` : count(n);
}

const reasons: Record<string, string> = {
  'burned-in': 'Text may be burned into the pixels',
  'encapsulated-document': 'Documents, such as a PDF',
  'pixels-elsewhere': 'The pixel data is elsewhere',
  recognizable: 'The patient can be recognized in the image',
  'unknown-sop-class': 'The standard does not know their class',
  'undecodable-text': 'Their character set cannot decode a text',
  'overlay-in-pixels': 'An overlay in the pixels that cannot be cleared',
  unparsable: 'They cannot be read as DICOM',
  'other-patient': 'They belong to another patient than their study',
  'identifier-left': 'The scan found something of the original in what would have gone out',
  'telling-pseudonym': 'The pseudonym would tell who the patient is',
};

/** reasonWords says why images were held back. */
export function reasonWords({ reason }: Pick<HeldBack, 'reason'>): string {
  return reasons[reason] ?? reason.charAt(0).toUpperCase() + reason.slice(1);
}

// PS3.16, CID 7050
const codes: Record<string, string> = {
  113100: 'Basic Application Confidentiality Profile',
  113101: 'Clean Pixel Data Option',
  113102: 'Clean Recognizable Visual Features Option',
  113103: 'Clean Graphics Option',
  113104: 'Clean Structured Content Option',
  113105: 'Clean Descriptors Option',
  113106: 'Retain Longitudinal Temporal Information Full Dates Option',
  113107: 'Retain Longitudinal Temporal Information Modified Dates Option',
  113108: 'Retain Patient Characteristics Option',
  113109: 'Retain Device Identity Option',
  113110: 'Retain UIDs Option',
  113111: 'Retain Safe Private Option',
  113112: 'Retain Institution Identity Option',
};

/** Code is one of CID 7050, and in how many studies some image has it. */
export type Code = { code: string; words: string; studies: string };

/** codesOf lists what (0012,0064) says was done; some: not in all studies. */
export function codesOf(sum: JobDeidentification): Code[] {
  return Object.entries(sum.codes)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([code, n]) => ({
      code,
      words: codes[code] ?? 'not of CID 7050',
      studies: n < sum.pseudonymized ? `in ${count(n)} of ${count(sum.pseudonymized)} studies` : '',
    }));
}
