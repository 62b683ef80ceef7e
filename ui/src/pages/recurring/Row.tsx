// SPDX-License-Identifier: AGPL-3.0-or-later

import { CloseButton } from '@mantine/core';
import { IconPlayerPause } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';

import type { Recurrence } from '../../api';
import { NodeName } from '../../components/controls';
import { kindWords } from '../../components/jobs';
import { Failed } from '../../components/states';
import { tone } from '../../components/status';
import ui from '../../components/ui.module.css';
import { count } from '../../format/numbers';
import { exact } from '../../format/times';
import { otherClock, planSays } from '../../recurring/plan';
import { aboutSays, lastRun, nextSays } from '../../recurring/words';
import { useNodes } from '../../servers/queries';
import { useMe } from '../../session/me';
import { type Acting, useActing } from './acting';
import c from './Recurring.module.css';
import { RowMenu } from './RowMenu';

type RowProps = {
  r: Recurrence;
  /** It is what the address names. */
  named: boolean;
};

/** Row is a recurrence as a row of the table, and a second row with the error of what was tried with it. */
export function Row({ r, named }: RowProps) {
  const acting = useActing(r);
  return (
    <tbody>
      <tr data-selected={named || undefined}>
        <td>
          <Name r={r} />
          <div className="small dim">{belongsTo(r, useMe().is_staff)}</div>
        </td>
        <td>
          <Nodes r={r} />
        </td>
        <td>
          <When r={r} />
        </td>
        <td>
          <Last r={r} />
        </td>
        <td className={ui.right}>
          <Actions acting={acting} />
        </td>
      </tr>
      {acting.error && !acting.asking && (
        <tr>
          <td colSpan={5}>
            <ErrorOf acting={acting} />
          </td>
        </tr>
      )}
    </tbody>
  );
}

/** Card is a recurrence where there is no room for a table. */
export function Card({ r, named }: RowProps) {
  const acting = useActing(r);
  return (
    <li className={c.card} data-selected={named || undefined}>
      <div className="row">
        <span className="grow">
          <Name r={r} />
        </span>
        <Actions acting={acting} />
      </div>
      <div className="small dim">{belongsTo(r, useMe().is_staff)}</div>
      <Nodes r={r} />
      <When r={r} />
      <Last r={r} />
      {acting.error && !acting.asking && <ErrorOf acting={acting} />}
    </li>
  );
}

function belongsTo(r: Recurrence, staff: boolean): string {
  return [aboutSays(r), r.project, staff && r.owner].filter(Boolean).join(' · ');
}

function Name({ r }: { r: Recurrence }) {
  return (
    <span>
      <span className="strong num">{r.id}</span> <span className={c.kind}>{kindWords(r.kind)}</span>
      {r.title && <b className={c.title}>{r.title}</b>}
    </span>
  );
}

function Nodes({ r }: { r: Recurrence }) {
  const { data } = useNodes();
  const node = (name: string) => (
    <NodeName key={name} name={name} kind={data?.find((n) => n.name === name)?.kind} />
  );
  return (
    <div className={c.nodes}>
      {r.sources.map(node)}
      {r.destination && (
        <>
          <span className={c.to} aria-label="to">
            →
          </span>
          {node(r.destination)}
        </>
      )}
    </div>
  );
}

/** When says when it runs by the site's clock, and when it runs next by the reader's. */
function When({ r }: { r: Recurrence }) {
  const zone = otherClock(useMe().time_zone);
  const next = nextSays(r);
  return (
    <div>
      <div>
        {planSays(r)}
        {zone && <span className="dim"> ({zone})</span>}
      </div>
      <div className="small dim num" title={r.next_at && exact(new Date(r.next_at))}>
        {r.paused && r.next_at ? (
          <span className={ui.status} style={tone('pending')}>
            <IconPlayerPause size={14} aria-hidden />
            {next}
          </span>
        ) : (
          next
        )}
        {zone && r.next_at && !r.paused && ' by your clock'}
      </div>
    </div>
  );
}

function Last({ r }: { r: Recurrence }) {
  const { job, says } = lastRun(r);
  return (
    <div>
      {job && (
        <>
          <Link to="/jobs/$id" params={{ id: String(job) }} className="strong num">
            Job {job}
          </Link>{' '}
        </>
      )}
      <span className={c.said}>{says}</span>
      {r.runs > 1 && <span className="small dim num"> {count(r.runs)} runs</span>}
    </div>
  );
}

const Dialogs = lazy(() => import('./Dialogs'));

/** Actions is the menu of a recurrence, with its dialogs. */
function Actions({ acting }: { acting: Acting }) {
  const [asked, keep] = useState(acting.asking); // a dialog closes as what it was
  if (acting.asking && asked !== acting.asking) keep(acting.asking);
  return (
    <>
      <RowMenu acting={acting} />
      <span role="status" className="vh">
        {acting.said}
      </span>
      {asked && (
        <Suspense fallback={null}>
          <Dialogs asked={asked} acting={acting} onClosed={() => keep(undefined)} />
        </Suspense>
      )}
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
