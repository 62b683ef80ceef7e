// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useRef } from 'react';

import type { Job } from '../api';
import { jobKey, reloadJobs } from './queries';

/** useRequestKey gives the same key to the same request, so that a second try makes no second job. */
export function useRequestKey(): (request: string) => string {
  const last = useRef({ request: '', key: '' });
  return (request) => {
    if (last.current.request !== request) last.current = { request, key: randomKey() };
    return last.current.key;
  };
}

/** randomKey needs no secure context, which crypto.randomUUID does. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join('-');
}

/** useShowMade shows a job that was just made. */
export function useShowMade(): (job: Job) => void {
  const go = useNavigate();
  const client = useQueryClient();
  return (job) => {
    client.setQueryData(jobKey(job.id), job);
    reloadJobs();
    void go({ to: '/jobs/$id', params: { id: String(job.id) } });
  };
}
