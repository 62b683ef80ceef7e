// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job } from '../../api';
import { counts } from '../../components/jobs';
import { Note } from '../../components/layout';
import { whyWaits } from '../../jobs/words';
import { useServersNow } from '../../servers/queries';
import { follows } from './follows';

/** Waiting says why studies of a job wait, and what comes next. */
export function Waiting({ job }: { job: Job }) {
  const { data: servers = [] } = useServersNow();
  if (!job.why_waiting || job.tasks.pending === 0) return null;
  return (
    <Note tone="pending">
      <b>
        {counts(job, job.tasks.pending)} {job.tasks.pending === 1 ? 'waits' : 'wait'}.
      </b>{' '}
      {whyWaits(job)} {follows(job, servers)}
    </Note>
  );
}
