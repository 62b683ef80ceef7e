// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMutation } from '@tanstack/react-query';

import { askAgain, killTask, resetTask, retryJob, type Task } from '../../api';
import { askJob, jobKey, placeJob } from '../../jobs/queries';

/** TaskAction is something that people do to a task; fetch retries its job. */
export type TaskAction = 'fetch' | 'reset' | 'kill';

/** useTaskAction does something to a task. The page sees by live events what becomes of it. */
export function useTaskAction(task: Task) {
  return useMutation({
    mutationFn: async (action: TaskAction) => {
      const path = { id: task.id };
      if (action === 'fetch') placeJob(await askJob(() => retryJob({ path: { id: task.job_id } })));
      else if (action === 'reset') await resetTask({ path });
      else await killTask({ path });
    },
    onSuccess: () => {
      askAgain({ queryKey: ['task', task.id] });
      askAgain({ queryKey: jobKey(task.job_id) });
    },
  });
}
