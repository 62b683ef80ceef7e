// SPDX-License-Identifier: AGPL-3.0-or-later

import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useCallback, useEffect, useRef, useSyncExternalStore } from 'react';

import { type Job, type Me, queries } from '../api';
import { final, statusWords } from '../components/status';
import { useLive, useTopic } from '../live';
import { meKey, useMe } from '../session/me';
import { countsKey, placeJob, reloadJobs } from './queries';

const countEvery = 2000; // milliseconds between two counts of jobs

/** What the feed has seen beside the lists: jobs that the list on the page does not hold yet. */
let fresh = new Set<number>();
const listeners = new Set<() => void>();

function setFresh(ids: Set<number>): void {
  fresh = ids;
  for (const listener of listeners) listener();
}

const watch = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** useFreshJobs tells how many jobs were made since the lists were loaded, and loads them. */
export function useFreshJobs(): [count: number, show: () => void] {
  const ids = useSyncExternalStore(watch, () => fresh);
  const show = useCallback(() => {
    setFresh(new Set());
    reloadJobs();
  }, []);
  return [ids.size, show];
}

/** useFeed keeps what pages show of jobs and oneself true, and tells when one's own job has ended elsewhere. */
export function useFeed(told: (words: string, open: () => void) => void): void {
  const me = useMe();
  const go = useNavigate();
  const path = useRouterState({ select: (s) => s.location.pathname });
  const { live } = useLive();
  const running = useRef(new Set<number>());
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const recount = () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void queries.invalidateQueries({ queryKey: countsKey });
    }, countEvery);
  };
  useEffect(() => () => clearTimeout(timer.current), []);

  const see = (job: Job, first: boolean) => {
    const known = running.current.has(job.id);
    const over = final(job.status);
    if (over) running.current.delete(job.id);
    else running.current.add(job.id);
    if (placeJob(job) && !first && !known && !over) setFresh(new Set([...fresh, job.id]));
    if (known && over && job.owner === me.username && path !== `/jobs/${job.id}`) {
      const words = `Job ${job.id} has ended: ${statusWords[job.status]}.`;
      told(words, () => void go({ to: '/jobs/$id', params: { id: String(job.id) } }));
    }
  };
  useTopic('jobs', (event) => {
    for (const job of event.jobs ?? []) see(job, event.first ?? false);
    if (event.first || event.reload || event.removed) {
      setFresh(new Set());
      reloadJobs();
    } else {
      recount();
    }
  });
  useTopic('me', (event) => {
    if (event.me) queries.setQueryData<Me>(meKey, event.me);
  });

  // What no topic tells of is asked for anew once the connection is there again.
  const was = useRef(live);
  useEffect(() => {
    if (live && !was.current) void queries.invalidateQueries();
    was.current = live;
  }, [live]);
}
