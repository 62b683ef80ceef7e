// SPDX-License-Identifier: AGPL-3.0-or-later

import { Link, useParams } from '@tanstack/react-router';

import { type Job, problem, type Task } from '../../api';
import { asks, looks } from '../../components/jobs';
import { LinkButton } from '../../components/LinkButton';
import { Note, Page } from '../../components/layout';
import { Nowhere } from '../../components/Nowhere';
import { Failed, Loading } from '../../components/states';
import { StatusBadge } from '../../components/status';
import ui from '../../components/ui.module.css';
import { useJob, useTask } from '../../jobs/job';
import { useTaskAction } from './acting';
import { Missing } from './Missing';
import { SeriesTable } from './SeriesTable';
import { About, Story } from './Story';
import { TaskActions } from './TaskActions';
import c from './TaskPage.module.css';
import { missed, taskWords } from './words';

/** TaskPage is a study on its way: what became of it, series by series, what is missing and why. */
export default function TaskPage() {
  const { id, seq } = useParams({ from: '/inside/shell/jobs/$id/tasks/$seq' });
  const [job, place] = [Number(id), Number(seq)];
  const numbers = [job, place].every((n) => Number.isSafeInteger(n) && n > 0);
  return numbers ? <Asked key={`${job}/${place}`} id={job} seq={place} /> : <NoTask id={id} />;
}

function Asked({ id, seq }: { id: number; seq: number }) {
  const job = useJob(id);
  const task = useTask(id, seq);
  const error = job.error ?? task.error;
  if (job.data && task.data) return <Shown job={job.data} task={task.data} />;
  if (problem(error)?.status === 404) return <NoTask id={String(id)} />;
  const retry = () => {
    void job.refetch();
    void task.refetch();
  };
  return (
    <Page title={`Task ${seq} of job ${id}`} crumbs={<Crumbs id={String(id)} />}>
      {error ? <Failed error={error} retry={retry} /> : <Loading rows={7} label="Loading the task" />}
    </Page>
  );
}

function Crumbs({ id }: { id: string }) {
  return (
    <>
      <Link to="/jobs">Jobs</Link>
      <span aria-hidden>/</span>
      <Link to="/jobs/$id" params={{ id }}>
        Job {id}
      </Link>
    </>
  );
}

/** NoTask is the page of a task that is not there. */
function NoTask({ id }: { id: string }) {
  return (
    <Nowhere title="No such task" crumbs={<Crumbs id={id} />} to="/jobs">
      The job may have no task of this number, or the task was deleted.
    </Nowhere>
  );
}

function Shown({ job, task }: { job: Job; task: Task }) {
  const action = useTaskAction(task);
  const words = taskWords(task, job);
  const series = task.series ?? [];
  const lacking = missed(series);
  return (
    <Page
      title={`Task ${task.seq} of job ${task.job_id}`}
      crumbs={<Crumbs id={String(task.job_id)} />}
      after={<StatusBadge status={task.status} pill paused={job.paused} />}
      actions={<TaskActions job={job} task={task} action={action} />}
    >
      <div className={ui.cols}>
        <div className={c.column}>
          <Failed error={action.error} />
          <Note tone={task.status}>
            <b>{words.title}</b> {words.says}
          </Note>
          {asks(job) || looks(task) ? (
            <Found job={job} task={task} />
          ) : (
            <SeriesTable series={series} status={task.status} />
          )}
          {lacking.length > 0 && (
            <Missing
              missed={lacking}
              truncated={series.some((s) => s.missing_truncated)}
              at={job.destination}
            />
          )}
        </div>
        <div className={c.column}>
          <Story task={task} />
          <About task={task} job={job} />
        </div>
      </div>
    </Page>
  );
}

/** Found leads to what was found for the row of a batch query, or in days of a mass transfer. */
function Found({ job, task }: { job: Job; task: Task }) {
  const days = looks(task);
  const search = days ? { partition: task.id } : { row: task.rows?.[0] };
  return (
    <div>
      <LinkButton to="/jobs/$id" params={{ id: String(job.id) }} search={search} variant="default">
        {days ? 'Series of these days' : 'Results of this row'}
      </LinkButton>
    </div>
  );
}
