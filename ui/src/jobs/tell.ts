// SPDX-License-Identifier: AGPL-3.0-or-later

import { useState, useSyncExternalStore } from 'react';

import type { Job } from '../api';
import { final, statusWords, total } from '../components/status';
import { counted } from '../format/numbers';
import { live } from '../live';

/** Jobs whose end the browser will tell, as long as this page of the browser is open. */
let awaited: ReadonlyMap<number, () => void> = new Map();
const listeners = new Set<() => void>();

const watch = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

function setAwaited(next: ReadonlyMap<number, () => void>): void {
  awaited = next;
  for (const listener of listeners) listener();
}

/** endSays is what a notification says. It must hold no patient's value. */
export function endSays(job: Job): string {
  return `Job ${job.id} has ended: ${statusWords[job.status]}, ${counted(total(job.tasks), 'study', 'studies')}.`;
}

function forget(id: number): void {
  awaited.get(id)?.();
  setAwaited(new Map([...awaited].filter(([other]) => other !== id)));
}

function tellEnd(id: number): void {
  const stop = live.subscribe(`job:${id}`, (event) => {
    if (event.job && final(event.job.status)) {
      forget(id);
      const note = new Notification('ADIT', { body: endSays(event.job), tag: `job-${id}` });
      note.onclick = () => window.focus();
    } else if (event.ended) {
      forget(id);
    }
  });
  setAwaited(new Map([...awaited, [id, stop]]));
}

/** Telling is whether the end of a job will be told, and how to have it told. */
export type Telling = {
  /** Browsers tell nothing on pages that came without HTTPS. */
  possible: boolean;
  on: boolean;
  /** The browser does not let ADIT tell anything. */
  refused: boolean;
  toggle: () => void;
};

/** useTelling lets a person be told by the browser when a job has ended. */
export function useTelling(id: number): Telling {
  const on = useSyncExternalStore(watch, () => awaited.has(id));
  const [refused, setRefused] = useState(false);
  const toggle = () => {
    if (on) {
      forget(id);
      return;
    }
    void Notification.requestPermission().then((answer) => {
      setRefused(answer !== 'granted');
      if (answer === 'granted') tellEnd(id);
    });
  };
  return { possible: window.isSecureContext && 'Notification' in window, on, refused, toggle };
}
