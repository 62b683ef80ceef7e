// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, CopyButton } from '@mantine/core';
import { IconClockHour4, IconClockPause } from '@tabler/icons-react';
import type { CSSProperties } from 'react';

import { problem } from '../api';
import { Note } from './layout';
import c from './ui.module.css';

/** Loading shows grey rows, if what is waited for takes longer than a moment. */
export function Loading({ rows = 5, label = 'Loading' }: { rows?: number; label?: string }) {
  return (
    <div className={c.late} role="status">
      <div className={c.grey}>
        {Array.from({ length: rows }, (_, i) => (
          <i key={i} style={{ '--w': `${[62, 44, 71, 53][i % 4]}%` } as CSSProperties} aria-hidden />
        ))}
      </div>
      <span className="vh">{label}</span>
    </div>
  );
}

type FailedProps = { error: unknown; retry?: () => void };

/** Failed says what went wrong, at the place where it did. */
export function Failed({ error, retry }: FailedProps) {
  const p = problem(error);
  if (!p) return null;
  return (
    <Note tone={p.calm ? 'pending' : 'failure'} role={p.calm ? 'status' : 'alert'}>
      <div className="stack tight">
        <span>{p.message}</span>
        {p.more().map((words) => (
          <span key={words}>{words}</span>
        ))}
        {(retry || p.requestId) && (
          <span className="row wrap">
            {retry && (
              <Button variant="default" size="compact-sm" onClick={retry}>
                Try again
              </Button>
            )}
            {p.requestId && (
              <CopyButton value={`${p.status} ${p.code} ${p.requestId}`}>
                {({ copied, copy }) => (
                  <Button variant="subtle" size="compact-sm" onClick={copy}>
                    {copied ? 'Copied' : 'Copy details'}
                  </Button>
                )}
              </CopyButton>
            )}
          </span>
        )}
      </div>
    </Note>
  );
}

/** Hint says beside a form when what it makes will run, or why it waits. */
export function Hint({ says, waits }: { says: string; waits?: boolean }) {
  const Icon = waits ? IconClockPause : IconClockHour4;
  return (
    <p className={c.hint} data-waits={waits || undefined}>
      <Icon size={15} aria-hidden />
      <span>{says}</span>
    </p>
  );
}
