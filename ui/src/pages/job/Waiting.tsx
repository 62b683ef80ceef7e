// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job } from '../../api';
import { Note } from '../../components/layout';
import { counted } from '../../format/numbers';
import { sentence } from '../../jobs/words';
import { useServersNow } from '../../servers/queries';
import { follows } from './follows';

/** Waiting says why studies of a job wait, and what comes next. */
export function Waiting({ job }: { job: Job }) {
  const { data: servers = [] } = useServersNow();
  if (!job.why_waiting || job.tasks.pending === 0) return null;
  return (
    <Note tone="pending">
      <b>{counted(job.tasks.pending, 'study waits', 'studies wait')}.</b> {sentence(job.why_waiting)}{' '}
      {follows(job, servers)}
    </Note>
  );
}
