// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMediaQuery } from '@mantine/hooks';
import { IconListSearch } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { defaultRangeExtractor, useVirtualizer } from '@tanstack/react-virtual';
import { Button } from '@mantine/core';
import { type Ref, useEffect, useRef, useState } from 'react';

import type { Job, Task } from '../../api';
import { asks, looks } from '../../components/jobs';
import { Empty, Section } from '../../components/layout';
import { Moment } from '../../components/Moment';
import { useRowHeight } from '../../components/rows';
import { Failed } from '../../components/states';
import { Fraction, StatusBadge, statusWords } from '../../components/status';
import { shortUIDs } from '../../format/dicom';
import { count, counted } from '../../format/numbers';
import { block, reloadTasks, useTaskBlocks } from '../../jobs/job';
import c from './JobPage.module.css';
import { blocksFor, shownTasks, type TaskStatus, taskSays, triesSay, whose, whoseWords } from './tasks';

const settles = 120; // milliseconds for which a list has to rest before more of it is asked for

type TasksProps = {
  ref: Ref<HTMLDivElement>;
  job: Job;
  status: TaskStatus | undefined;
  choose: (status: TaskStatus | undefined) => void;
  /** Nothing is transferred. */
  asked: boolean;
};

/** Tasks are the tasks of a job, as a list of any length. */
export function Tasks({ ref, job, status, choose, asked }: TasksProps) {
  const all = shownTasks(job, status);
  const words = counted(all, 'task');
  return (
    <div className={c.tasks} tabIndex={-1} ref={ref}>
      <Section
        flush
        title={<span className="num">{status ? `${words} · ${statusWords[status]}` : words}</span>}
        right={
          status && (
            <Button variant="subtle" size="compact-sm" onClick={() => choose(undefined)}>
              Show all tasks
            </Button>
          )
        }
      >
        {all > 0 ? (
          <List
            key={status ?? ''}
            job={job}
            status={status}
            all={all}

            asked={asked}
          />
        ) : (
          <Empty
            icon={<IconListSearch size={30} stroke={1.4} aria-hidden />}
            title="No task is in this status"
          >
            What was here has gone on.
          </Empty>
        )}
      </Section>
    </div>
  );
}

/** useSettled gives a value once it has not changed for a moment; the first one at once. */
function useSettled(value: string): string {
  const [settled, settle] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => settle(value), settles);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

type ListProps = Pick<TasksProps, 'job' | 'status' | 'asked'> & { all: number };

function List({ job, status, all, asked }: ListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const focused = useRef(-1);
  const narrow = useMediaQuery('(max-width: 640px)', false, { getInitialValueInEffect: false });
  const wide = useRowHeight();
  const height = narrow ? 58 : wide;
  // eslint-disable-next-line react-hooks/incompatible-library -- what it returns is used here only
  const rows = useVirtualizer({
    count: all,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 12,
    // The row that has the focus stays, else the focus would be lost with it.
    rangeExtractor: (range) => {
      const indexes = defaultRangeExtractor(range);
      const kept = focused.current;
      if (kept < 0 || kept >= all || indexes.includes(kept)) return indexes;
      return [...indexes, kept].sort((a, b) => a - b);
    },
  });
  useEffect(() => rows.measure(), [rows, height]);
  const range = rows.range ?? { startIndex: 0, endIndex: 0 };
  const wanted = useSettled(blocksFor(range.startIndex, range.endIndex, all).join(' '));
  const { blocks, error } = useTaskBlocks(job.id, status, wanted === '' ? [] : wanted.split(' ').map(Number));
  const taskAt = (i: number) => blocks.get(Math.floor(i / block))?.[i % block];
  return (
    <>
      {error && (
        <div className={c.pad}>
          <Failed error={error} retry={() => reloadTasks(job.id)} />
        </div>
      )}
      <div
        role="table"
        aria-label="Tasks"
        aria-rowcount={all + 1}
        className={c.table}
        data-asks={asked || undefined}
      >
        <div role="rowgroup">
          <div role="row" aria-rowindex={1} className={c.head}>
            <span role="columnheader" aria-label="Number">
              #
            </span>
            <span role="columnheader">Status</span>
            <span role="columnheader">{whoseWords(job)}</span>
            {!asked && <span role="columnheader">Images</span>}
            <span role="columnheader">What happened</span>
            <span role="columnheader" className={c.right}>
              Ended
            </span>
          </div>
        </div>
        <div className={c.scroller} ref={scroller} role="rowgroup">
          <div style={{ height: rows.getTotalSize() }} className={c.whole} role="none">
            {rows.getVirtualItems().map((item) => (
              <div
                key={item.key}
                ref={rows.measureElement}
                data-index={item.index}
                role="row"
                aria-rowindex={item.index + 2}
                className={c.row}
                style={{ minHeight: height, transform: `translateY(${item.start}px)` }}
                onFocus={() => (focused.current = item.index)}
                onBlur={() => (focused.current = -1)}
              >
                <Row task={taskAt(item.index)} job={job} asked={asked} />
              </div>
            ))}
          </div>
        </div>
      </div>
    </>
  );
}

function Row({ task, job, asked }: Pick<ListProps, 'job' | 'asked'> & { task: Task | undefined }) {
  if (!task) {
    return (
      <span role="cell" className={c.grey}>
        <span className="vh">Loading</span>
      </span>
    );
  }
  const tries = triesSay(task);
  return (
    <>
      <span role="cell" className="num dim">
        <Link
          to="/jobs/$id/tasks/$seq"
          params={{ id: String(task.job_id), seq: String(task.seq) }}
          preload={false}
          className={c.link}
        >
          <span className="vh">Task </span>
          {task.seq}
        </Link>
      </span>
      <span role="cell">
        <StatusBadge status={task.status} />
      </span>
      <span role="cell" className={`num ${c.whose}`}>
        <bdi>{whose(task, job)}</bdi>
      </span>
      {!asked && (
        <span role="cell" className={c.images}>
          <Images task={task} />
        </span>
      )}
      <span role="cell" className={c.says}>
        <span className={task.status === 'pending' ? 'dim' : undefined}>
          {shortUIDs(taskSays(task, asks(job) || looks(task)))}
        </span>
        {tries && <span className="dim"> · {tries}</span>}
      </span>
      <span role="cell" className={`dim ${c.right} ${c.ended}`}>
        {task.ended_at && <Moment at={task.ended_at} />}
      </span>
    </>
  );
}

function Images({ task }: { task: Task }) {
  if (task.expected === 0) return <span className="dim small">–</span>;
  const tone = task.status === 'pending' ? 'in_progress' : task.status;
  return (
    <>
      <span className="small num">
        {count(task.delivered)} of {count(task.expected)}
      </span>
      <Fraction
        done={task.delivered}
        of={task.expected}
        tone={tone}
        label={`${task.delivered} of ${task.expected} images delivered`}
      />
    </>
  );
}
