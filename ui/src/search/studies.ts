// SPDX-License-Identifier: AGPL-3.0-or-later

import { type LiveEvent, problem, type Problem, type Study, type StudyQuery } from '../api';
import { live } from '../live';

/**
 * Phase is how far a search is. busy: the server's connections for people are in use, and it is tried again by itself.
 * lost: it ended with the connection to ADIT.
 */
export type Phase = 'idle' | 'running' | 'done' | 'busy' | 'stopped' | 'failed' | 'lost';

export type Found = {
  phase: Phase;
  server: string;
  /** Newest first. */
  studies: Study[];
  /** The server has more than are shown. */
  truncated: boolean;
  problem?: Problem | null;
  /** How long it took, in milliseconds. */
  took?: number;
};

const none: Found = { phase: 'idle', server: '', studies: [], truncated: false };

export const againAfter = 5000; // milliseconds, if the server was busy

type Begin = typeof live.search;

/** StudySearch is a search for studies, which lives in memory only. */
export class StudySearch {
  private found = none;
  private end: () => void = () => undefined;
  private again: ReturnType<typeof setTimeout> | undefined;
  private readonly watchers = new Set<() => void>();

  constructor(private readonly begin: Begin = (wanted, listener) => live.search(wanted, listener)) {}

  now = (): Found => this.found;

  watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  };

  /** start begins a search, and ends the one before. */
  start(server: string, query: StudyQuery): void {
    this.cut();
    const since = performance.now();
    this.become({ ...none, phase: 'running', server });
    this.end = this.begin({ server, studies: query }, (event) => {
      this.hear(event, since);
      if (this.found.phase === 'busy') this.again = setTimeout(() => this.start(server, query), againAfter);
    });
  }

  /** stop ends a search that is under way; what it found stays. */
  stop(): void {
    this.cut();
    if (this.found.phase === 'running' || this.found.phase === 'busy') {
      this.become({ ...this.found, phase: 'stopped' });
    }
  }

  /** clear forgets all. */
  clear(): void {
    this.cut();
    this.become(none);
  }

  private hear({ found, ended }: LiveEvent, since: number): void {
    const took = performance.now() - since;
    if (ended) {
      const { status, code } = ended;
      const phase = status === 503 && code === 'busy' ? 'busy' : code === 'unreachable' ? 'lost' : 'failed';
      this.become({ ...this.found, phase, problem: problem(ended), took });
    } else if (found) {
      const studies = newestFirst([...this.found.studies, ...(found.studies ?? [])]);
      const over = found.done && !found.failed;
      this.become({
        ...this.found,
        studies,
        truncated: found.truncated ?? false,
        ...(over && { phase: 'done', took }),
      });
    }
  }

  private cut(): void {
    clearTimeout(this.again);
    this.end();
    this.end = () => undefined;
  }

  private become(found: Found): void {
    this.found = found;
    for (const watcher of this.watchers) watcher();
  }
}

/** newestFirst sorts studies; those without a date come last. */
function newestFirst(studies: Study[]): Study[] {
  const at = (s: Study) => s.study_date + s.study_time;
  return studies.sort((a, b) => (at(a) < at(b) ? 1 : at(a) > at(b) ? -1 : 0));
}
