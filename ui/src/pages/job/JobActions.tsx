// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconBell, IconBellRinging, IconChevronDown } from '@tabler/icons-react';
import { lazy, Suspense, useEffect, useState } from 'react';

import { final } from '../../components/status';
import type { Acting } from '../../jobs/acting';
import { actionWords, type JobAction } from '../../jobs/actions';
import { actionIcons } from '../../jobs/actionIcons';
import { useTelling } from '../../jobs/endings';

const load = () => import('./MoreMenu');
const MoreMenu = lazy(load);

// What one most likely wants has a button of its own.
const first: JobAction[] = ['verify', 'continue', 'pause', 'retry', 'resume'];

type JobActionsProps = {
  acting: Acting;
  /** A retry changes something without further ado. */ retryHelps: boolean;
};

/** JobActions are the buttons beside a job's title: only what is allowed now. */
export function JobActions({ acting, retryHelps }: JobActionsProps) {
  const { job, allowed, running, start } = acting;
  const worthIt = retryHelps || job.tasks.failure > 0; // the cause may be gone
  const isFirst = (action: JobAction) => first.includes(action) && (action !== 'retry' || worthIt);
  const buttons = allowed.filter(isFirst);
  const more = allowed.filter((a) => !isFirst(a));
  const none = more.length === 0;
  useEffect(() => {
    // While a job is being canceled there is nothing to do, and no button to have the focus.
    if (none && document.activeElement === document.body) document.querySelector('h1')?.focus();
  }, [none]);
  const [used, use] = useState(false);
  if (none && used) use(false); // else it would open by itself when there is something again
  const button = (
    <Button
      variant="default"
      aria-haspopup="menu"
      rightSection={<IconChevronDown size={14} aria-hidden />}
      onPointerEnter={() => void load()}
      onClick={() => use(true)}
    >
      More
    </Button>
  );
  return (
    <>
      {!final(job.status) && <TellMe id={job.id} />}
      {buttons.map((action) => {
        const Icon = actionIcons[action];
        return (
          <Button
            key={action}
            variant={action === 'pause' || (action === 'retry' && !retryHelps) ? 'default' : 'filled'}
            leftSection={<Icon size={15} aria-hidden />}
            loading={running && acting.asking === undefined}
            onClick={() => start(action)}
          >
            {actionWords(action, job)}
          </Button>
        );
      })}
      {!none && (
        <Suspense fallback={button}>{used ? <MoreMenu acting={acting} actions={more} /> : button}</Suspense>
      )}
    </>
  );
}

function TellMe({ id }: { id: number }) {
  const { possible, on, refused, toggle } = useTelling(id);
  if (!possible) return null;
  const Icon = on ? IconBellRinging : IconBell;
  return (
    <>
      <Button
        variant="default"
        leftSection={<Icon size={15} aria-hidden />}
        aria-pressed={on}
        onClick={toggle}
      >
        {on ? 'You will be notified' : 'Tell me when it ends'}
      </Button>
      <span role="status" className={refused ? 'small dim' : 'vh'}>
        {refused && 'Your browser blocks notifications from this page. Allow them in its settings.'}
        {on && 'Your browser notifies you as long as this page stays open.'}
      </span>
    </>
  );
}
