// SPDX-License-Identifier: AGPL-3.0-or-later

import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useRef } from 'react';

import { type Job, problem } from '../../api';
import { asks, isMass, kindWords } from '../../components/jobs';
import { Note, Page } from '../../components/layout';
import { Failed, Loading } from '../../components/states';
import { final, StatusBadge, statusWords, total, Urgent } from '../../components/status';
import ui from '../../components/ui.module.css';
import { when } from '../../format/times';
import { ActingDialog, useActing } from '../../jobs/acting';
import { NoJob } from '../../jobs/NoJob';
import { useFailures, useJob } from '../../jobs/job';
import { useResults } from '../../jobs/results';
import { sentence } from '../../jobs/words';
import { useMass } from '../../mass/queries';
import { About } from './About';
import { JobActions } from './JobActions';
import c from './JobPage.module.css';
import { Progress } from './Progress';
import { Tasks } from './Tasks';
import { type TaskStatus, taskStatus } from './tasks';
import { Waiting } from './Waiting';
import { WhatWentWrong } from './WhatWentWrong';

// Of a batch query alone.
const Results = lazy(() => import('./Results'));
// Of a mass transfer alone.
const Found = lazy(() => import('./Found'));
const Sum = lazy(() => import('./Sum'));

/** JobPage is a job: how far it is, why it waits, what went wrong and what to do, and its tasks. */
export default function JobPage() {
  const { id } = useParams({ from: '/inside/shell/jobs/$id' });
  const number = Number(id);
  return Number.isSafeInteger(number) && number > 0 ? <Asked key={number} id={number} /> : <NoJob />;
}

function Asked({ id }: { id: number }) {
  const { data: job, error, refetch } = useJob(id);
  if (job) return <Shown job={job} />;
  if (problem(error)?.status === 404) return <NoJob />;
  return (
    <Page title={`Job ${id}`} crumbs={<Link to="/jobs">Jobs</Link>}>
      {error ? (
        <Failed error={error} retry={() => void refetch()} />
      ) : (
        <Loading rows={9} label="Loading the job" />
      )}
    </Page>
  );
}

const fewTasks = 10; // which stand before "About" where there is one column

function Shown({ job }: { job: Job }) {
  const go = useNavigate();
  const search = useSearch({ from: '/inside/shell/jobs/$id' });
  const acting = useActing(job, () => void go({ to: '/jobs' }));
  const status = taskStatus(search.status);
  const tasks = useRef<HTMLDivElement>(null);
  const narrow = (part: { status?: string; row?: number; partition?: number }) =>
    void go({ from: '/jobs/$id', search: (now) => ({ ...now, ...part }), replace: true, resetScroll: false });
  const choose = (next: TaskStatus | undefined) => narrow({ status: next });
  const show = (next: TaskStatus) => {
    choose(next);
    tasks.current?.focus({ preventScroll: true });
    tasks.current?.scrollIntoView({ block: 'start' });
  };
  const troubled = job.tasks.failure + job.tasks.warning > 0;
  const failures = useFailures(job);
  const retryHelps = failures.data?.items.some((g) => g.retry_helps) ?? false;
  const query = asks(job);
  const found = useResults(job, query);
  const { mass, partitions, error: massError } = useMass(job);
  const list = (
    <Tasks ref={tasks} job={job} status={status} choose={choose} asked={query || (mass?.dry_run ?? false)} />
  );
  const wide = query || isMass(job);
  const few = total(job.tasks) <= fewTasks && !wide;
  return (
    <Page
      title={`Job ${job.id}`}
      crumbs={
        <>
          <Link to="/jobs">Jobs</Link>
          <span aria-hidden>/</span>
          <span>{kindWords(job.kind)}</span>
        </>
      }
      after={
        <>
          <StatusBadge status={job.status} pill paused={job.paused} />
          {job.urgent && <Urgent />}
        </>
      }
      actions={<JobActions acting={acting} retryHelps={retryHelps} />}
    >
      <Said job={job} />
      <ActingDialog acting={acting} />
      <div className={`${ui.cols} ${wide ? '' : c.beside}`}>
        <div className={c.column}>
          {!acting.asking && <Failed error={acting.error} />}
          {final(job.status) && <End job={job} />}
          <Progress job={job} status={status} choose={choose} found={found.count} mass={mass} />
          <Waiting job={job} />
          {mass && (
            <Suspense fallback={null}>
              <Sum
                job={job}
                mass={mass}
                erased={mass.found.studies === 0 && partitions.some((p) => p.studies > 0)}
              />
            </Suspense>
          )}
          {troubled && (
            <WhatWentWrong
              acting={acting}
              failures={failures}
              failedStudies={mass?.moved.failure}
              show={show}
            />
          )}
          {few && list}
        </div>
        <About job={job} batch={found.count?.jobs} mass={mass} />
        {query && (
          <div className={c.below}>
            <Suspense fallback={<Loading rows={6} label="Loading results" />}>
              <Results job={job} found={found} row={search.row} chooseRow={(row) => narrow({ row })} />
            </Suspense>
          </div>
        )}
        {isMass(job) && (
          <div className={`${c.below} ${c.column}`}>
            <Failed error={massError} />
            {mass && (
              <Suspense fallback={<Loading rows={6} label="Loading what was found" />}>
                <Found
                  job={job}
                  mass={mass}
                  partitions={partitions}
                  chosen={search.partition}
                  choose={(partition) => narrow({ partition })}
                />
              </Suspense>
            )}
          </div>
        )}
        {!few && <div className={wide ? c.below : c.under}>{list}</div>}
      </div>
    </Page>
  );
}

/** Said tells screen readers of a change of the job's status, and of nothing else: numbers change all the time. */
function Said({ job }: { job: Job }) {
  const said = useRef<HTMLSpanElement>(null);
  const was = useRef(job.status);
  useEffect(() => {
    if (was.current !== job.status && said.current) {
      said.current.textContent = `Job ${job.id}: ${statusWords[job.status]}.`;
    }
    was.current = job.status;
  }, [job.id, job.status]);
  return <span className="vh" role="status" ref={said} />;
}

function End({ job }: { job: Job }) {
  const at = job.ended_at && ` It ended ${when(new Date(job.ended_at))}.`;
  return (
    <Note tone={job.status}>
      <b>{sentence(job.message)}</b>
      {at}
    </Note>
  );
}
