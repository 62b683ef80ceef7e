// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, Task } from '../../api';
import { asks, looks } from '../../components/jobs';
import { counted } from '../../format/numbers';
import type { Question } from '../../jobs/actions';

/** questionOf is what is asked before a task is begun anew or stopped. */
export function questionOf(action: 'reset' | 'kill', task: Task, job: Job): Question {
  if (action === 'kill') {
    return {
      title: `Stop task ${task.seq}?`,
      says: looks(task)
        ? 'The task ends with a failure. Its days can be looked through again later.'
        : asks(job)
          ? 'The row ends with a failure. It can be asked again later.'
          : `The study ends with a failure. What has been delivered stays at ${job.destination}. ` +
            'It can be sent again later.',
      keep: 'Keep it running',
      go: 'Stop the task',
    };
  }
  if (looks(task)) {
    return {
      title: `Look through the days of task ${task.seq} again?`,
      says: `${job.source} is asked again. What is new is found, too; what was found before stays.`,
      keep: 'Leave it as it is',
      go: 'Look again',
    };
  }
  if (asks(job)) {
    return {
      title: `Ask the row of task ${task.seq} again?`,
      says: `${job.source} is asked again. What was found for the row before is forgotten.`,
      keep: 'Leave it as it is',
      go: 'Ask again',
    };
  }
  const arrived =
    task.delivered > 0
      ? `, with the ${counted(task.delivered, 'image')} that ${job.destination} has already`
      : '';
  return {
    title: `Send the study of task ${task.seq} again?`,
    says: `The whole study goes from ${job.source} to ${job.destination} again${arrived}. What ADIT knows of the task now is forgotten.`,
    keep: 'Leave it as it is',
    go: 'Send again',
  };
}
