// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQueries, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';

import {
  askAgain,
  getJob,
  getTask,
  type Job,
  listFailures,
  listTasks,
  Problem,
  queries,
  type Task,
} from '../api';
import { final } from '../components/status';
import { ask, useTopic } from '../live';
import { askJob, jobKey } from './queries';

/** useJob gives a job as it is at every moment. */
export function useJob(id: number) {
  const client = useQueryClient();
  const query = useQuery({
    queryKey: jobKey(id),
    queryFn: () => askJob(() => getJob({ path: { id } })),
    staleTime: Infinity,
  });
  useTopic(`job:${id}`, (event) => {
    if (event.ended) {
      // it is gone, or may not be seen any more: nothing of it stays
      void client.resetQueries({ queryKey: jobKey(id) });
      return;
    }
    if (event.job) {
      client.setQueryData(jobKey(id), event.job);
    }
    if (event.tasks) placeTasks(id, event.tasks);
    if (event.reload || event.first || event.removed) {
      askAgain({ queryKey: tasksKey(id) });
    }
  });
  return query;
}

/** useFailures tells why tasks of a job failed or have warnings. */
export function useFailures({ id, status, tasks }: Job) {
  // Whoever has told the job's numbers: other ones have other reasons.
  const state = `${tasks.failure} ${tasks.warning} ${final(status)}`;
  const seen = useRef(state);
  useEffect(() => {
    if (seen.current !== state) askAgain({ queryKey: [...jobKey(id), 'failures'] });
    seen.current = state;
  }, [id, state]);
  return useQuery({
    queryKey: [...jobKey(id), 'failures'],
    queryFn: async () => (await listFailures({ path: { id } })).data,
    enabled: tasks.failure + tasks.warning > 0,
  });
}

const tasksKey = (id: number) => ['tasks', id];
/** Tasks of a job are asked for in blocks of so many, by their places in the list. */
export const block = 100;

/** reloadTasks has what is shown of a job's tasks asked for anew. */
export function reloadTasks(id: number): void {
  askAgain({ queryKey: tasksKey(id) });
}

type TaskBlock = { items: Task[] };

/** useTaskBlocks gives the blocks of a job's tasks that are shown now; absent: it is on its way. */
export function useTaskBlocks(id: number, status: string | undefined, blocks: number[]) {
  return useQueries({
    queries: blocks.map((n) => ({
      queryKey: [...tasksKey(id), status ?? '', n],
      queryFn: (): Promise<TaskBlock> => {
        const query = {
          limit: block,
          skip: n * block,
          status: status ? [status as Task['status']] : undefined,
        };
        return ask(
          () => listTasks({ path: { id }, query }),
          (page, newest) => {
            const tasks = page.items.map((t) => newest(`task:${t.id}`, t));
            const here = tasks.filter((t) => !status || t.status === status);
            if (here.length < tasks.length) askAgain({ queryKey: [...tasksKey(id), status] }); // others have moved up
            return { ...page, items: here };
          },
        );
      },
      staleTime: 60_000,
    })),
    combine: (results) => ({
      blocks: new Map(results.map((r, i) => [blocks[i] ?? 0, r.data?.items])),
      error: results.find((r) => r.error)?.error ?? null,
    }),
  });
}

/** placeTasks puts what is new of tasks wherever they are shown. One that has left the chosen status leaves the list. */
function placeTasks(job: number, changed: Task[]): void {
  const news = new Map(changed.map((t) => [t.id, t]));
  for (const [key, data] of queries.getQueriesData<TaskBlock>({ queryKey: tasksKey(job) })) {
    const status = key[2] as string | undefined;
    const here = new Set(data?.items.map((t) => t.id).filter((id) => news.has(id)));
    const moved = status && changed.some((t) => (t.status === status) !== here.has(t.id));
    if (moved) askAgain({ queryKey: key });
    else if (data?.items && here.size > 0)
      queries.setQueryData<TaskBlock>(key, { ...data, items: data.items.map((t) => news.get(t.id) ?? t) });
  }
  for (const t of changed)
    queries.setQueryData<Task>(['task', t.id], (was) => was && { ...t, series: was.series });
}

/** useTask gives the task at a place of a job, with its series, as it is at every moment. */
export function useTask(job: number, seq: number) {
  const client = useQueryClient();
  const found = useQuery({
    queryKey: [...tasksKey(job), 'at', seq],
    queryFn: async () => {
      const task = (await listTasks({ path: { id: job }, query: { seq } })).data.items[0];
      if (!task) throw new Problem('There is no such task in this job.', 404, 'not_found');
      return task.id;
    },
    staleTime: Infinity,
  });
  const id = found.data;
  const query = useQuery({
    queryKey: ['task', id],
    queryFn: () =>
      ask(
        () => getTask({ path: { id: id ?? 0 } }),
        (task, newest) => ({ ...newest(`task:${task.id}`, task), series: task.series }),
      ),
    enabled: id !== undefined,
    staleTime: Infinity,
  });
  useTopic(id === undefined ? null : `task:${id}`, (event) => {
    if (event.ended) {
      void client.resetQueries({ queryKey: ['task', id] });
      return;
    }
    const task = event.task;
    if (task) client.setQueryData<Task>(['task', id], (was) => was && { ...task, series: was.series });
    // The event has no series: they are asked for when the task has come further.
    askAgain({ queryKey: ['task', id] });
  });
  return { ...query, error: found.error ?? query.error };
}
