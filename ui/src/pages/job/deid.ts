// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, JobDeidentification } from '../../api';
import { count, counted } from '../../format/numbers';

/** identitySays says whether the studies of a job go out under pseudonyms. */
export function identitySays(job: Job, sum: JobDeidentification | undefined): string {
  if (!job.deidentified) {
    return 'This job does not de-identify: its studies go out with the identity of their patients.';
  }
  if (job.pseudonymize) return 'All studies go out under pseudonyms.';
  if (!sum) return '';
  const open = sum.studies - sum.to_pseudonymize;
  if (open === 0) return 'All studies go out under pseudonyms.';
  const under = counted(sum.to_pseudonymize, 'study goes', 'studies go');
  return `${under} out under pseudonyms, ${count(open)} with identity.`;
}
