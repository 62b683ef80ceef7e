// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';

import { changeRecurrence, deleteRecurrence, type Plan, type Recurrence, runRecurrence } from '../../api';
import { reloadJobs } from '../../jobs/queries';
import { placeRecurrence } from '../../recurring/queries';

/** Change is something that people do to a recurrence. */
export type Change = 'run' | 'pause' | 'continue' | 'remove' | { plan: Plan };

async function act(id: number, change: Change): Promise<Recurrence | undefined> {
  const path = { id };
  switch (change) {
    case 'run':
      return (await runRecurrence({ path })).data;
    case 'remove':
      await deleteRecurrence({ path });
      return undefined;
    case 'pause':
    case 'continue':
      return (await changeRecurrence({ path, body: { paused: change === 'pause' } })).data;
    default:
      return (await changeRecurrence({ path, body: change })).data;
  }
}

const done = {
  run: 'It runs now.',
  pause: 'It is paused.',
  continue: 'It is continued.',
  remove: 'It is removed.',
};

/** useActing lets somebody act on a recurrence, and holds the dialog that is open. */
export function useActing(r: Recurrence) {
  const [asking, ask] = useState<'time' | 'remove'>();
  const mutation = useMutation({
    mutationFn: (change: Change) => act(r.id, change),
    onSuccess: (now, change) => {
      if (!now) document.querySelector<HTMLElement>('main h1')?.focus();
      ask(undefined);
      placeRecurrence(r.id, now);
      if (change === 'run') reloadJobs();
    },
  });
  return {
    r,
    start: mutation.mutate,
    running: mutation.isPending,
    error: mutation.error,
    forget: mutation.reset,
    /** What was done last, for screen readers. */
    said: mutation.isSuccess
      ? typeof mutation.variables === 'string'
        ? done[mutation.variables]
        : 'It runs at another time.'
      : '',
    asking,
    ask: (what: 'time' | 'remove' | undefined) => {
      mutation.reset();
      ask(what);
    },
  };
}

export type Acting = ReturnType<typeof useActing>;
