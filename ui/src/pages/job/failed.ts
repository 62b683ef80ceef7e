// SPDX-License-Identifier: AGPL-3.0-or-later

import type { FailureGroup, Job } from '../../api';
import { asks, counts, isMass, nounOf } from '../../components/jobs';
import { shortUIDs } from '../../format/dicom';
import { counted } from '../../format/numbers';
import { sentence } from '../../jobs/words';

/** Reason is why tasks failed, as a heading, and what there is to say beside it. */
export type Reason = { title: string; says: string };

/** reasonOf parts what the API says of a group of failures into what happened, and what there is to say besides. */
export function reasonOf(group: FailureGroup): Reason {
  const message = sentence(group.message);
  // A sentence ends at a full stop before a blank: host names and UIDs have theirs inside.
  const parts = /^(.+?)(?:\.(?=\s+[\p{Lu}\d])|;)\s+(.*)$/su.exec(message);
  const title = (parts?.[1] ?? message).replace(/\.$/, '');
  const rest = [sentence(parts?.[2] ?? '')];
  if (group.missing > 0) rest.push(`${counted(group.missing, 'image')} missing.`);
  if (group.dicom_status && !message.includes(group.dicom_status)) {
    rest.push(`(DICOM status ${group.dicom_status})`);
  }
  return { title: shortUIDs(title), says: rest.filter(Boolean).join(' ') };
}

/** retrySays tells what a retry of the job does, since it takes up more than one reason. */
export function retrySays(failed: number, groups: FailureGroup[], job: Pick<Job, 'kind'>): string {
  const helps = groups.some((g) => g.retry_helps);
  if (failed === 0) {
    return helps && !asks(job) && !isMass(job)
      ? 'A retry asks the destination again whether it has what it acknowledged.'
      : '';
  }
  const all = failed === 1 ? `the failed ${nounOf(job)[0]}` : `all ${counts(job, failed, 'failed ')}`;
  const begin = helps ? 'A retry takes up' : 'Once the cause is gone, a retry takes up';
  return asks(job) || isMass(job) ? `${begin} ${all}.` : `${begin} ${all}, and sends only what is missing.`;
}
