// SPDX-License-Identifier: AGPL-3.0-or-later

import { CloseButton } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { lazy, memo, Suspense, useState } from 'react';

import type { Job } from '../../api';
import { IconButton, NodeName } from '../../components/controls';
import { kindWords } from '../../components/jobs';
import { Failed } from '../../components/states';
import { StatusBadge, TaskBar, Urgent } from '../../components/status';
import ui from '../../components/ui.module.css';
import { bytes } from '../../format/numbers';
import { exact, took, when } from '../../format/times';
import { type Acting, ActingDialog, useActing } from '../../jobs/acting';
import { happens, studiesDone } from '../../jobs/words';
import c from './Jobs.module.css';

export type Kinds = ReadonlyMap<string, 'server' | 'folder'>;

type JobProps = {
  job: Job;
  /** Whether its owner is shown. */
  owned: boolean;
  /** What the DICOM nodes are. */
  nodes: Kinds;
};

type PlaceProps = {
  /** Its place in the list. */
  index: number;
  /** Measures it, where not all of the list is drawn. */
  measure?: (element: HTMLElement | null) => void;
};

/** JobRow is a job as a row of the table, and a second row with the error of what was tried with it. */
export const JobRow = memo(function JobRow({ job, owned, nodes, index, measure }: JobProps & PlaceProps) {
  const acting = useActing(job);
  return (
    <tbody ref={measure} data-index={index}>
      <tr aria-rowindex={index + 2} data-error={acting.error && !acting.asking ? true : undefined}>
        <td>
          <Title job={job} />
          <div className="small dim ellipsis" title={belongsTo(job, owned)}>
            {belongsTo(job, owned)}
          </div>
        </td>
        <td>
          <StatusBadge status={job.status} paused={job.paused} />
        </td>
        <td>
          <Progress job={job} />
        </td>
        <td>
          <div className={c.nodes}>
            <NodeName name={job.source} kind={nodes.get(job.source)} />
            {job.destination && <NodeName name={job.destination} kind={nodes.get(job.destination)} />}
          </div>
        </td>
        <td>{happens(job)}</td>
        <td className={`${c.created} nowrap dim num`}>
          <span title={exact(new Date(job.created_at))}>{when(new Date(job.created_at))}</span>
          {job.started_at && job.ended_at && (
            <div className="small">
              {took(new Date(job.ended_at).getTime() - new Date(job.started_at).getTime())}
            </div>
          )}
        </td>
        <td className={ui.right}>
          <Actions acting={acting} />
        </td>
      </tr>
      {acting.error && !acting.asking && (
        <tr>
          <td colSpan={7}>
            <ErrorOf acting={acting} />
          </td>
        </tr>
      )}
    </tbody>
  );
});

/** JobCard is a job where there is no room for a table. */
export const JobCard = memo(function JobCard({ job, owned, nodes, index, measure }: JobProps & PlaceProps) {
  const acting = useActing(job);
  return (
    <li className={c.card} ref={measure} data-index={index}>
      <div className="row">
        <Title job={job} />
        <span className="grow" />
        <StatusBadge status={job.status} paused={job.paused} />
        <Actions acting={acting} />
      </div>
      <div className="row wrap dim">
        <NodeName name={job.source} kind={nodes.get(job.source)} />
        {job.destination && (
          <>
            <span aria-label="to">→</span>
            <NodeName name={job.destination} kind={nodes.get(job.destination)} />
          </>
        )}
        <span className="small">{belongsTo(job, owned)}</span>
      </div>
      <Progress job={job} />
      <p>{happens(job)}</p>
      {acting.error && !acting.asking && <ErrorOf acting={acting} />}
    </li>
  );
});

function belongsTo(job: Job, owned: boolean): string {
  return [job.title, job.project, owned && job.owner].filter(Boolean).join(' · ');
}

function Title({ job }: { job: Job }) {
  return (
    <span>
      <Link to="/jobs/$id" params={{ id: String(job.id) }} className="strong num">
        {job.id}
      </Link>{' '}
      <span className={c.kind}>{kindWords(job.kind)}</span> {job.urgent && <Urgent />}
    </span>
  );
}

function Progress({ job }: { job: Job }) {
  return (
    <div>
      <TaskBar counts={job.tasks} live={job.status === 'in_progress'} />
      <div className={`${c.far} small dim num`}>
        <span>{studiesDone(job)}</span>
        <span>{job.bytes > 0 && bytes(job.bytes)}</span>
      </div>
    </div>
  );
}

const load = () => import('./RowMenu');
const RowMenu = lazy(load);

/** Actions is the menu of a job. Where there is nothing to do, it is not there. */
function Actions({ acting }: { acting: Acting }) {
  const [used, use] = useState(false);
  const { job, allowed } = acting;
  const something = allowed.length > 0 || job.deidentified !== undefined;
  if (!something && used) use(false); // else it would open by itself when there is something again
  const button = (
    <IconButton
      label={`Actions of job ${job.id}`}
      aria-haspopup="menu"
      onPointerEnter={() => void load()}
      onClick={() => use(true)}
    >
      <IconDots size={17} aria-hidden />
    </IconButton>
  );
  return (
    <>
      {something && <Suspense fallback={button}>{used ? <RowMenu acting={acting} /> : button}</Suspense>}
      <ActingDialog acting={acting} />
    </>
  );
}

function ErrorOf({ acting }: { acting: Acting }) {
  return (
    <div className="row">
      <div className="grow">
        <Failed error={acting.error} />
      </div>
      <CloseButton aria-label="Close the message" onClick={acting.forget} />
    </div>
  );
}
