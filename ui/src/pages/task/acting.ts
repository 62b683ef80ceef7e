// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMutation, useQueryClient } from '@tanstack/react-query';

import { killTask, resetTask, retryJob, type Task } from '../../api';
import { jobKey, placeJob } from '../../jobs/queries';

/** TaskAction is something that people do to a task; fetch retries its job. */
export type TaskAction = 'fetch' | 'reset' | 'kill';

/** useTaskAction does something to a task. The page sees by live events what becomes of it. */
export function useTaskAction(task: Task) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (action: TaskAction) => {
      const path = { id: task.id };
      if (action === 'fetch') placeJob((await retryJob({ path: { id: task.job_id } })).data);
      else if (action === 'reset') await resetTask({ path });
      else await killTask({ path });
    },
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['task', task.id] });
      void client.invalidateQueries({ queryKey: jobKey(task.job_id) });
    },
  });
}
