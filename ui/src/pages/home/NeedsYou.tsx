// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';

import type { Job } from '../../api';
import { LinkButton } from '../../components/LinkButton';
import { Section } from '../../components/layout';
import { asks, kindWords } from '../../components/jobs';
import { Failed } from '../../components/states';
import { statusIcons, statusWords, tone } from '../../components/status';
import { counted } from '../../format/numbers';
import { when } from '../../format/times';
import { useActing } from '../../jobs/acting';
import { actionWords } from '../../jobs/actions';
import { useFailures } from '../../jobs/job';
import c from './Home.module.css';
import { reasons } from './jobs';

const most = 5; // for each, its reasons are asked for

/** NeedsYou is what has ended and is not as it should be, each with the one thing to do. */
export function NeedsYou({ jobs }: { jobs: Job[] }) {
  return (
    <Section
      title="Needs your attention"
      right={jobs.length > 0 && <span className={`small dim num ${c.number}`}>{jobs.length}</span>}
      flush
    >
      {jobs.length === 0 && <p className={c.plain}>Nothing needs your attention.</p>}
      <ul className={c.list}>
        {jobs.slice(0, most).map((job) => (
          <Need key={job.id} job={job} />
        ))}
      </ul>
      {jobs.length > most && (
        <div className={c.foot}>
          <LinkButton to="/jobs" search={{ status: 'failure,warning' }} variant="subtle" size="compact-sm">
            All {jobs.length}
          </LinkButton>
        </div>
      )}
    </Section>
  );
}

function Need({ job }: { job: Job }) {
  const { data } = useFailures(job);
  const acting = useActing(job);
  const Icon = statusIcons[job.status];
  const groups = data?.items;
  const helps = groups?.some((g) => g.retry_helps) && acting.allowed.includes('retry');
  const params = { id: String(job.id) };
  return (
    <li className={c.need} style={tone(job.status)}>
      <Icon size={18} aria-label={statusWords[job.status]} role="img" />
      <div>
        <p>
          <Link to="/jobs/$id" params={params} className="ul">
            Job {job.id}
          </Link>
          : {reasons(job, groups)}
        </p>
        <p className="dim small">
          {kindWords(job.kind)}
          {job.ended_at && ` · ended ${when(new Date(job.ended_at))}`}
        </p>
      </div>
      {groups && (
        <div className={c.needDo}>
          {helps ? (
            <Button
              variant="default"
              size="compact-sm"
              loading={acting.running}
              onClick={() => acting.start('retry')}
              aria-label={`${actionWords('retry', job)} of job ${job.id}`}
            >
              {actionWords('retry', job)}
            </Button>
          ) : asks(job) && job.tasks.failure > 0 ? (
            <Button
              component="a"
              href={`/api/v1/jobs/${job.id}/failed-rows?format=xlsx`}
              download
              variant="default"
              size="compact-sm"
              aria-label={`Download ${counted(job.tasks.failure, 'row')} of job ${job.id}`}
            >
              Download {counted(job.tasks.failure, 'row')}
            </Button>
          ) : (
            <LinkButton
              to="/jobs/$id"
              params={params}
              search={{ status: job.status }}
              variant="default"
              size="compact-sm"
              aria-label={`Show what happened in job ${job.id}`}
            >
              Show
            </LinkButton>
          )}
        </div>
      )}
      {acting.error && (
        <div className={c.needError}>
          <Failed error={acting.error} />
        </div>
      )}
    </li>
  );
}
