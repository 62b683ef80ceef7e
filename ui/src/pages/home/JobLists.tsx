// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconClockHour4 } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import type { Job } from '../../api';
import { NodeName } from '../../components/controls';
import { counts, kindWords, nounOf } from '../../components/jobs';
import { LinkButton } from '../../components/LinkButton';
import { Section } from '../../components/layout';
import { StatusBadge, TaskBar, total, Urgent } from '../../components/status';
import ui from '../../components/ui.module.css';
import { count } from '../../format/numbers';
import { exact, when } from '../../format/times';
import { happens, studiesDone, waits } from '../../jobs/words';
import { useNodes } from '../../servers/queries';
import c from './Home.module.css';

type RunningProps = { jobs: Job[]; fresh?: { words: string; show: () => void }; stale: boolean };

const mostOpen = 10;

/** Running is the jobs that have not ended, and how far they are or why they wait. */
export function Running({ jobs, fresh, stale }: RunningProps) {
  return (
    <Section
      title="Running and waiting"
      right={
        <>
          <span role="status">
            {fresh && (
              <Button variant="subtle" size="compact-sm" onClick={fresh.show}>
                {fresh.words}, show
              </Button>
            )}
          </span>
          <AllJobs />
        </>
      }
      flush
    >
      {jobs.length === 0 && <p className={c.plain}>No jobs are running or waiting.</p>}
      <ul className={`${c.list} ${stale ? ui.stale : ''}`}>
        {jobs.slice(0, mostOpen).map((job) => (
          <li key={job.id}>
            <OpenJob job={job} />
          </li>
        ))}
      </ul>
      {jobs.length > mostOpen && (
        <div className={c.foot}>
          <LinkButton
            to="/jobs"
            search={{ status: 'pending,in_progress' }}
            variant="subtle"
            size="compact-sm"
          >
            {count(jobs.length - mostOpen)} more
          </LinkButton>
        </div>
      )}
    </Section>
  );
}

function OpenJob({ job }: { job: Job }) {
  return (
    <Link to="/jobs/$id" params={{ id: String(job.id) }} className={c.job}>
      <div className={c.title}>
        <b className="strong num">{job.id}</b>
        <span>{kindWords(job.kind)}</span>
        {job.urgent && <Urgent />}
        <Way job={job} />
      </div>
      <TaskBar counts={job.tasks} live={job.status === 'in_progress'} />
      <div className={c.says}>
        {waits(job) && <IconClockHour4 size={15} aria-label="Waits" role="img" />}
        <span>{waits(job) ? happens(job) : `${studiesDone(job)} ${nounOf(job)[1]} · ${happens(job)}`}</span>
      </div>
      <div className={`small dim num ${c.images}`}>{images(job)}</div>
    </Link>
  );
}

function images(job: Job): string {
  if (job.expected === 0) return counts(job, total(job.tasks));
  return `${count(job.delivered)} of ${count(job.expected)} images`;
}

function Way({ job }: { job: Job }) {
  const { data } = useNodes();
  const kind = (name: string) => data?.find((n) => n.name === name)?.kind;
  return (
    <span className={c.way}>
      <NodeName name={job.source} kind={kind(job.source)} />
      {job.destination && (
        <>
          <span aria-label="to" role="img">
            →
          </span>
          <NodeName name={job.destination} kind={kind(job.destination)} />
        </>
      )}
    </span>
  );
}

const mostEnded = 8;

/** Ended is the jobs that ended lately. */
export function Ended({ jobs }: { jobs: Job[] }) {
  return (
    <Section title="Ended in the last two days" right={jobs.length > mostEnded && <AllJobs />} flush>
      {jobs.length === 0 && <p className={c.plain}>No job has ended.</p>}
      {jobs.length > 0 && (
        <table className={ui.table}>
          <thead className="vh">
            <tr>
              <th>Job</th>
              <th>Status</th>
              <th className={ui.hideS}>From and to</th>
              <th>Ended</th>
            </tr>
          </thead>
          <tbody>
            {jobs.slice(0, mostEnded).map((job) => (
              <EndedJob key={job.id} job={job} />
            ))}
          </tbody>
        </table>
      )}
    </Section>
  );
}

function EndedJob({ job }: { job: Job }) {
  const at = new Date(job.ended_at ?? job.created_at);
  return (
    <tr>
      <td>
        <Link to="/jobs/$id" params={{ id: String(job.id) }} className="strong num">
          {job.id}
        </Link>{' '}
        {kindWords(job.kind)}
      </td>
      <td>
        <StatusBadge status={job.status} />
      </td>
      <td className={ui.hideS}>
        <Way job={job} />
      </td>
      <td className={`${ui.right} dim`} title={exact(at)}>
        {when(at)}
      </td>
    </tr>
  );
}

function AllJobs() {
  return (
    <LinkButton to="/jobs" variant="subtle" size="compact-sm">
      All jobs
    </LinkButton>
  );
}
