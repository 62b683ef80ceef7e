// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';

import { getTaskLog, type Job, type Task } from '../../api';
import { Copy } from '../../components/controls';
import { asks, looks } from '../../components/jobs';
import { Facts, Section } from '../../components/layout';
import { Moment } from '../../components/Moment';
import { Failed } from '../../components/states';
import { final, statusWords } from '../../components/status';
import { bytes, count, counted } from '../../format/numbers';
import { exact } from '../../format/times';
import { daysOf } from '../../mass/words';
import { useMe } from '../../session/me';
import c from './TaskPage.module.css';

const perPage = 100;

/** Story is what happened to a task, in the order in which it did. */
export function Story({ task }: { task: Task }) {
  const me = useMe();
  return (
    <Section title="What happened">
      <ol className={c.story}>
        <Step at={task.created_at}>Created, with its job</Step>
        {task.started_at && <Step at={task.started_at}>First started</Step>}
        {task.ended_at && <Step at={task.ended_at}>{statusWords[task.status]}</Step>}
      </ol>
      {me.is_staff && <Log task={task} />}
    </Section>
  );
}

function Step({ at, children }: { at: string; children: string }) {
  return (
    <li>
      <span>{children}</span>
      <span className="small dim">
        <Moment at={at} />
      </span>
    </li>
  );
}

/** Log is what ADIT has written down of a task, for staff. */
function Log({ task }: { task: Task }) {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    queryKey: ['task', task.id, 'log'],
    queryFn: async ({ pageParam }) =>
      (await getTaskLog({ path: { id: task.id }, query: { limit: perPage, cursor: pageParam } })).data,
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor,
  });
  if (error) return <Failed error={error} retry={() => void refetch()} />;
  const lines = data?.pages.flatMap((p) => p.items) ?? [];
  if (lines.length === 0) return null;
  return (
    <details className={c.log} open={final(task.status)}>
      <summary>Log</summary>
      <ol>
        {lines.map((l, i) => (
          <li key={`${l.at}${i}`}>
            <time className="small dim num" dateTime={l.at}>
              {exact(new Date(l.at))}
            </time>
            <span>{l.line}</span>
          </li>
        ))}
      </ol>
      {hasNextPage && (
        <Button
          variant="subtle"
          size="compact-sm"
          loading={isFetchingNextPage}
          onClick={() => void fetchNextPage()}
        >
          More of the log
        </Button>
      )}
    </details>
  );
}

/** About is whose study it is, or which row of a file, and how often it was tried. */
export function About({ task, job }: { task: Task; job: Job }) {
  const query = asks(job) || looks(task); // it moves nothing
  const chosen = task.series_instance_uids?.length ?? 0;
  return (
    <Section title="About">
      <Facts
        items={[
          job.deidentified !== undefined &&
            !query && ['Pseudonym', <Given key="pseudonym" value={task.pseudonym} />],
          task.rows !== undefined && [task.rows.length === 1 ? 'Row' : 'Rows', task.rows.join(', ')],
          looks(task) && ['Days', daysOf(task)],
          !query && ['Patient ID', <Given key="patient" value={task.patient_id} />],
          !query && [
            'Study Instance UID',
            <Copy key="study" text={task.study_instance_uid} label="the Study Instance UID" />,
          ],
          !query && ['Series', chosen > 0 ? `${count(chosen)} chosen` : 'the whole study'],
          !query && ['Size', bytes(task.bytes)],
          task.failures > 0 && ['Failed attempts', count(task.failures)],
          task.waits > 0 && ['Waits', `${counted(task.waits, 'time')} for a server`],
        ]}
      />
    </Section>
  );
}

function Given({ value }: { value: string | undefined }) {
  return value ? <bdi>{value}</bdi> : <span className="dim">not given with the job</span>;
}
