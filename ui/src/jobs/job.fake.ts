// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job, Me, TaskCounts } from '../api';

/** Made-up jobs and people for tests. */
export const noTasks: TaskCounts = {
  pending: 0,
  in_progress: 0,
  success: 0,
  warning: 0,
  failure: 0,
  canceled: 0,
};

type JobOf = Partial<Omit<Job, 'tasks'>> & { tasks?: Partial<TaskCounts> };

export function fakeJob({ tasks, ...job }: JobOf = {}): Job {
  return {
    id: 1204,
    kind: 'selective_transfer',
    status: 'pending',
    message: '',
    owner: 'researcher',
    source: 'PACS-A',
    destination: 'RESEARCH',
    project: 'lung-screening',
    leave_out_rejected: false,
    urgent: false,
    priority: 3,
    paused: false,
    mail_when_finished: false,
    expected: 0,
    received: 0,
    delivered: 0,
    bytes: 0,
    created_at: '2026-11-12T17:41:00Z',
    ...job,
    tasks: { ...noTasks, ...tasks },
  };
}

export function fakeMe(me: Partial<Me> = {}): Me {
  return {
    username: 'researcher',
    active_group: 'Radiology',
    groups: ['Radiology'],
    has_password: true,
    is_staff: false,
    is_superuser: false,
    permissions: [],
    preferences: {},
    time_zone: 'UTC',
    ...me,
  };
}
