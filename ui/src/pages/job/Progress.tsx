// SPDX-License-Identifier: AGPL-3.0-or-later

import type { CSSProperties } from 'react';

import type { Job, QueryCount } from '../../api';
import { Area } from '../../components/charts';
import { asks } from '../../components/jobs';
import { Figures } from '../../components/layout';
import { final, statusWords, TaskBar } from '../../components/status';
import ui from '../../components/ui.module.css';
import { count } from '../../format/numbers';
import { clock } from '../../format/times';
import { useLive } from '../../live';
import type { MassTransfer } from '../../api';
import { figuresOf } from './figures';
import c from './JobPage.module.css';
import { enough, ratesSay, useRates } from './rates';
import type { TaskStatus } from './tasks';

const order: TaskStatus[] = ['success', 'warning', 'failure', 'canceled', 'in_progress', 'pending'];

type ProgressProps = {
  job: Job;
  status: TaskStatus | undefined;
  choose: (status: TaskStatus | undefined) => void;
  /** What a batch query has found. */
  found?: QueryCount;
  /** What a mass transfer has found. */
  mass?: MassTransfer;
};

/** Progress is how far a job is: figures, one bar, counts that choose tasks, and its rate. */
export function Progress({ job, status, choose, found, mass }: ProgressProps) {
  const { live } = useLive();
  const rates = useRates(job);
  const over = final(job.status);
  const shown = order.filter((s) => job.tasks[s] > 0 || s === status);
  return (
    <section className={ui.section} aria-label="Progress">
      <div className={`${ui.sectionBody} ${c.progress}`}>
        <div className={live || over ? undefined : ui.stale}>
          <Figures items={figuresOf(job, new Date(), found, mass)} />
        </div>
        <TaskBar counts={job.tasks} size="lg" live={live} />
        <div className={ui.legend} role="group" aria-label="Show tasks by status">
          {shown.map((s) => (
            <button
              key={s}
              type="button"
              className={ui.legendItem}
              aria-pressed={status === s}
              onClick={() => choose(status === s ? undefined : s)}
            >
              <i
                className={`${ui.swatch} ${c.swatch}`}
                style={{ '--c': `var(--adit-bar-${s})` } as CSSProperties}
              />
              <b className="strong num">{count(job.tasks[s])}</b>
              {statusWords[s]}
            </button>
          ))}
        </div>
        {!over && !asks(job) && !mass?.dry_run && rates && rates.values.length >= enough && (
          <Area
            data={rates.values}
            unit="images/s"
            from={`since ${clock(rates.from)}, as seen here`}
            to={clock(rates.to)}
            height={88}
            label={ratesSay(rates)}
          />
        )}
      </div>
    </section>
  );
}
