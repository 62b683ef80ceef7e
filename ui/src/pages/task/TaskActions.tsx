// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconPlayerStop, IconRefresh, IconRotate2 } from '@tabler/icons-react';
import { lazy, Suspense, useState } from 'react';

import type { Job, Task } from '../../api';
import { useFocusBack } from '../../components/focus';
import { asks, looks } from '../../components/jobs';
import { final } from '../../components/status';
import { useMe } from '../../session/me';
import { PickAgain } from '../../jobs/PickAgain';
import { wronglyNamed } from '../../jobs/words';
import type { TaskAction, useTaskAction } from './acting';
import { questionOf } from './questions';
import { fetchWords, mayRetry } from './words';

const QuestionDialog = lazy(() => import('../../jobs/QuestionDialog'));

type TaskActionsProps = { job: Job; task: Task; action: ReturnType<typeof useTaskAction> };

function againWords(job: Job, task: Task): string {
  if (looks(task)) return 'Look again…';
  return asks(job) ? 'Ask the row again…' : 'Send the study again…';
}

/** TaskActions are the buttons beside a task's title: only what is allowed now. */
export function TaskActions({ job, task, action }: TaskActionsProps) {
  const me = useMe();
  const [asking, ask] = useState<'reset' | 'kill'>();
  const [asked, keep] = useState<'reset' | 'kill'>();
  const opener = useFocusBack(asking !== undefined);
  const start = (wanted: TaskAction) => {
    action.reset();
    if (wanted === 'fetch') {
      action.mutate(wanted);
    } else {
      ask(wanted);
      keep(wanted); // the dialog keeps its words while it closes
    }
  };
  const answer = (yes: boolean) => {
    ask(undefined);
    if (yes && asking) action.mutate(asking);
  };
  const running = (of: TaskAction) => action.isPending && action.variables === of;
  return (
    <>
      {task.status === 'in_progress' && me.is_staff && (
        <Button
          ref={opener}
          variant="default"
          leftSection={<IconPlayerStop size={15} aria-hidden />}
          loading={running('kill')}
          onClick={() => start('kill')}
        >
          Stop…
        </Button>
      )}
      {final(task.status) && (
        <Button
          ref={opener}
          variant="default"
          leftSection={<IconRotate2 size={15} aria-hidden />}
          loading={running('reset')}
          onClick={() => start('reset')}
        >
          {againWords(job, task)}
        </Button>
      )}
      {task.status === 'failure' && wronglyNamed(task.message) && <PickAgain job={job} studies={1} />}
      {mayRetry(task, job) && (
        <Button
          leftSection={<IconRefresh size={15} aria-hidden />}
          loading={running('fetch')}
          onClick={() => start('fetch')}
        >
          {fetchWords(task, job)}
        </Button>
      )}
      {asked && (
        <Suspense fallback={null}>
          <QuestionDialog
            opened={asking !== undefined}
            question={questionOf(asked, task, job)}
            running={false}
            error={null}
            answer={answer}
          />
        </Suspense>
      )}
    </>
  );
}
