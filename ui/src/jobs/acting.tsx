// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMutation } from '@tanstack/react-query';
import { lazy, Suspense, useRef, useState } from 'react';

import type { Job } from '../api';
import { giveFocus } from '../components/focus';
import { useMe } from '../session/me';
import { act, allowedActions, done, type JobAction, questionOf } from './actions';
import { placeJob, reloadJobs } from './queries';

const QuestionDialog = lazy(() => import('./QuestionDialog'));

/** Acting is what a page needs to let somebody act on a job. */
export type Acting = {
  job: Job;
  allowed: JobAction[];
  /** Does an action, after the question that it may need. */
  start: (action: JobAction) => void;
  running: boolean;
  /** Why the last action was not done; it is shown where the action is. */
  error: Error | null;
  forget: () => void;
  /** What was done last, for screen readers. */
  said: string;
  /** The action that is asked about now. */
  asking: JobAction | undefined;
  answer: (yes: boolean) => void;
  /** Gives the focus back to what began the action. */
  back: () => void;
};

/** startedFrom is what began an action: of an item of a menu, the button of the menu, since the item goes. */
function startedFrom(): HTMLElement | null {
  const at = document.activeElement as HTMLElement | null;
  const menu = at?.closest('[role=menu]');
  return menu ? document.getElementById(menu.getAttribute('aria-labelledby') ?? '') : at;
}

/** useActing lets somebody act on a job. onGone is called when the job was deleted. */
export function useActing(job: Job, onGone?: () => void): Acting {
  const me = useMe();
  const [asking, ask] = useState<JobAction>();
  const from = useRef<HTMLElement | null>(null);
  const mutation = useMutation({
    mutationFn: (action: JobAction) => act(action, job.id),
    onSuccess: (now, action) => {
      ask((asked) => (asked === action ? undefined : asked)); // something else may be asked by now
      if (now) placeJob(now);
      else {
        from.current = null; // it goes with the job
        onGone?.();
      }
      reloadJobs(now ? 'counts' : 'all');
    },
  });
  const start = (action: JobAction) => {
    if (mutation.isPending && mutation.variables === action) return;
    mutation.reset();
    from.current = startedFrom();
    if (questionOf(action, job)) ask(action);
    else mutation.mutate(action);
  };
  const answer = (yes: boolean) => {
    if (yes && asking) mutation.mutate(asking);
    else ask(undefined);
    if (!yes) mutation.reset();
  };
  return {
    job,
    allowed: allowedActions(job, me),
    start,
    running: mutation.isPending,
    error: mutation.error,
    forget: mutation.reset,
    said: mutation.isSuccess ? done(mutation.variables, job) : '',
    asking,
    answer,
    back: () => giveFocus(from.current),
  };
}

/** ActingDialog asks what has to be asked before the action. It stands once beside whatever begins it. */
export function ActingDialog({ acting }: { acting: Acting }) {
  // The question stays as it was asked, and closes as one, while the job goes on.
  const [question, keep] = useState<{ action: JobAction; job: Job }>();
  const opened = acting.asking !== undefined;
  if (acting.asking && question?.action !== acting.asking) keep({ action: acting.asking, job: acting.job });
  const asked = question && questionOf(question.action, question.job);
  return (
    <>
      <span role="status" className="vh">
        {acting.said}
      </span>
      {asked && (
        <Suspense fallback={null}>
          <QuestionDialog
            opened={opened}
            question={asked}
            running={acting.running}
            error={opened ? acting.error : null}
            answer={acting.answer}
            onClosed={acting.back}
          />
        </Suspense>
      )}
    </>
  );
}
