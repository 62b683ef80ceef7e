// SPDX-License-Identifier: AGPL-3.0-or-later

import {
  IconAlertTriangle,
  IconBan,
  IconBolt,
  IconCircleCheck,
  IconCircleX,
  IconClockHour4,
  IconLoader2,
  IconPlayerPause,
  IconPlayerStop,
  IconShieldQuestion,
} from '@tabler/icons-react';
import type { CSSProperties, ReactNode } from 'react';

import type { TaskCounts } from '../api';
import { count, counted } from '../format/numbers';
import c from './ui.module.css';

/** Status is one of jobs and tasks. */
export type Status =
  'unverified' | 'pending' | 'in_progress' | 'canceling' | 'canceled' | 'success' | 'warning' | 'failure';

export const statusWords: Record<Status, string> = {
  unverified: 'Unverified',
  pending: 'Pending',
  in_progress: 'In Progress',
  canceling: 'Canceling',
  canceled: 'Canceled',
  success: 'Success',
  warning: 'Warning',
  failure: 'Failure',
};

export const statuses = Object.keys(statusWords) as Status[];

export const statusIcons: Record<Status, typeof IconBan> = {
  unverified: IconShieldQuestion,
  pending: IconClockHour4,
  in_progress: IconLoader2,
  canceling: IconPlayerStop,
  canceled: IconBan,
  success: IconCircleCheck,
  warning: IconAlertTriangle,
  failure: IconCircleX,
};

/** tone gives a component the colours of a status. */
export function tone(status: Status): CSSProperties {
  return { '--c': `var(--adit-${status})`, '--b': `var(--adit-${status}-bg)` } as CSSProperties;
}

type StatusBadgeProps = { status: Status; pill?: boolean; paused?: boolean };

export function StatusBadge({ status, pill, paused }: StatusBadgeProps) {
  const waits = paused && (status === 'pending' || status === 'in_progress');
  const Icon = waits ? IconPlayerPause : statusIcons[status];
  const turns = status === 'in_progress' && !waits;
  return (
    <span className={`${c.status} ${turns ? c.spin : ''}`} data-pill={pill} style={tone(status)}>
      <Icon size={15} stroke={2} aria-hidden />
      {statusWords[status]}
      {waits && ' · paused'}
    </span>
  );
}

/** final reports whether a status changes only if somebody acts. */
export function final(status: string): boolean {
  return ['canceled', 'success', 'warning', 'failure'].includes(status);
}

type Counted = Exclude<Status, 'unverified' | 'canceling'>;
const order: Counted[] = ['success', 'warning', 'failure', 'canceled', 'in_progress', 'pending'];

export function total(counts: TaskCounts): number {
  return order.reduce((sum, s) => sum + counts[s], 0);
}

/** delivered counts the tasks whose studies were delivered, with a warning or without. */
export function delivered(counts: TaskCounts): number {
  return counts.success + counts.warning;
}

const fill = (of: string): CSSProperties => ({ '--c': of }) as CSSProperties;

type TaskBarProps = { counts: TaskCounts; size?: 'sm' | 'md' | 'lg'; live?: boolean };

/** TaskBar shows the tasks of a job by status, as one bar. */
export function TaskBar({ counts, size = 'md', live }: TaskBarProps) {
  const shown = order.filter((s) => counts[s] > 0);
  const words = shown.map((s) => `${count(counts[s])} ${statusWords[s]}`).join(', ');
  return (
    <div
      className={c.bar}
      data-size={size}
      role="img"
      aria-label={`${counted(total(counts), 'task')}: ${words}`}
    >
      {shown.map((s) => (
        <i
          key={s}
          className={s === 'in_progress' && live ? c.live : undefined}
          style={{
            flex: `${counts[s]} 1 0`,
            ...fill(s === 'pending' ? 'transparent' : `var(--adit-bar-${s})`),
          }}
        />
      ))}
    </div>
  );
}

type FractionProps = { done: number; of: number; label: string; size?: 'sm' | 'md'; tone?: Status };

/** Fraction shows how much of something is done. */
export function Fraction({ done, of, label, size = 'sm', tone = 'in_progress' }: FractionProps) {
  return (
    <div className={c.bar} data-size={size} role="img" aria-label={label}>
      {done > 0 && <i style={{ flex: `${done} 1 0`, ...fill(`var(--adit-bar-${tone})`) }} />}
      {of > done && <i style={{ flex: `${of - done} 1 0`, ...fill('transparent') }} />}
    </div>
  );
}

type BadgeTone = 'urgent' | 'primary' | 'warning' | 'failure' | 'success' | 'violet' | 'blue';

export function Badge({ tone, title, children }: { tone?: BadgeTone; title?: string; children: ReactNode }) {
  return (
    <span className={c.badge} data-tone={tone} title={title}>
      {children}
    </span>
  );
}

export function Urgent() {
  return (
    <Badge tone="urgent">
      <IconBolt size={11} aria-hidden />
      Urgent
    </Badge>
  );
}
