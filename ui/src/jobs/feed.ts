// SPDX-License-Identifier: AGPL-3.0-or-later

import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useCallback, useEffect, useRef } from 'react';

import { askAgain, getJob, type Job, type Me, queries } from '../api';
import { final, statusWords } from '../components/status';
import { Kept, useKept } from '../kept';
import { useLive, useTopic } from '../live';
import { meKey, useMe } from '../session/me';
import { jobEnded, toldOf } from './endings';
import { askJob, placeJob, reloadJobs } from './queries';

const countEvery = 2000; // milliseconds between two counts of jobs

/** What the feed has seen beside the lists: jobs that some list does not hold, the newest of these. */
const beside = new Kept<ReadonlyMap<number, Job>>(new Map());
const keepBeside = 200;

/** useBeside gives the jobs that were made or changed since the lists were loaded, and loads the lists anew. */
export function useBeside(): [jobs: Job[], show: () => void] {
  const jobs = useKept(beside);
  const show = useCallback(() => {
    beside.set(new Map());
    reloadJobs();
  }, []);
  return [[...jobs.values()], show];
}

/** useFeed keeps what pages show of jobs and oneself true, and tells when one's own job has ended. */
export function useFeed(told: (words: string, open: () => void) => void): void {
  const me = useMe();
  const go = useNavigate();
  const path = useRouterState({ select: (s) => s.location.pathname });
  const { live, lost } = useLive();
  const running = useRef(new Set<number>());
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const recount = () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      reloadJobs('counts');
    }, countEvery);
  };
  useEffect(() => () => clearTimeout(timer.current), []);

  const see = (job: Job) => {
    if (placeJob(job)) beside.set(new Map([...beside.get(), [job.id, job] as const].slice(-keepBeside)));
    const [own, asked] = [job.owner === me.username, toldOf().has(job.id)];
    if (!own && !asked) return;
    if (!final(job.status)) {
      running.current.add(job.id);
      return;
    }
    if (!running.current.delete(job.id) && !asked) return;
    const open = () => void go({ to: '/jobs/$id', params: { id: String(job.id) } });
    jobEnded(job, me.preferences.notifications ?? false, open);
    if (own && path !== `/jobs/${job.id}`) told(`Job ${job.id} has ended: ${statusWords[job.status]}.`, open);
  };
  // What ended while the connection was lost is not among the jobs of the first state.
  const lookAfter = (now: Job[]) => {
    for (const id of new Set([...running.current, ...toldOf()])) {
      if (now.some((j) => j.id === id)) continue;
      askJob(() => getJob({ path: { id } })).then(see, () => running.current.delete(id)); // else it is gone
    }
  };
  useTopic('jobs', (event) => {
    if (event.first) lookAfter(event.jobs ?? []);
    for (const job of event.jobs ?? []) see(job);
    if (event.first || event.reload || event.removed) {
      beside.set(new Map());
      reloadJobs();
    } else {
      recount();
    }
  });
  useTopic('me', (event) => {
    if (event.me) queries.setQueryData<Me>(meKey, event.me);
  });

  // What no topic tells of is asked for anew once a lost connection is there again.
  const missed = useRef(false);
  useEffect(() => {
    if (lost) missed.current = true;
    if (!live || !missed.current) return;
    missed.current = false;
    askAgain();
  }, [live, lost]);
}
