// SPDX-License-Identifier: AGPL-3.0-or-later
// How people learn that a job has ended while they look elsewhere: by the title and the icon of the tab until they look
// at it, and by the browser itself if they want that.

import { useState } from 'react';

import type { Job } from '../api';
import { counts } from '../components/jobs';
import { statusWords, total } from '../components/status';
import { Kept, useKept } from '../kept';

/** endedTitle is the title of a tab whose job has ended. */
export function endedTitle(job: Job): string {
  return `● Job ${job.id}: ${statusWords[job.status]} – ADIT`;
}

/** endedWords is what the browser says: no more than how many studies or rows. */
export function endedWords(job: Job): string {
  return `Job ${job.id} has ended: ${statusWords[job.status]}, ${counts(job, total(job.tasks))}.`;
}

/** Jobs whose end the browser tells whatever one's preference is, as long as the page is open. */
const told = new Kept<ReadonlySet<number>>(new Set());

/** toldOf are the jobs that somebody wants to be told of. */
export const toldOf = told.get;

function forget(id: number): void {
  told.set(new Set([...told.get()].filter((other) => other !== id)));
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
  const on = useKept(told).has(id);
  const [refused, setRefused] = useState(false);
  const toggle = () => {
    if (on) {
      forget(id);
      return;
    }
    void Notification.requestPermission().then((answer) => {
      setRefused(answer !== 'granted');
      if (answer === 'granted') told.set(new Set([...told.get(), id]));
    });
  };
  return { possible: window.isSecureContext && 'Notification' in window, on, refused, toggle };
}

/** jobEnded tells that a job has ended: whoever asked for it, and whoever wants it always and does not look now. */
export function jobEnded(job: Job, always: boolean, open: () => void): void {
  const asked = told.get().has(job.id);
  if (asked) forget(job.id);
  const looking = document.visibilityState === 'visible' && document.hasFocus();
  if (!looking) void mark(job);
  const wanted = asked || (always && !looking);
  if (!wanted || !('Notification' in window) || Notification.permission !== 'granted') return;
  // One notification, however many tabs are open.
  const notification = new Notification('ADIT', { body: endedWords(job), tag: `adit-job-${job.id}` });
  notification.onclick = () => {
    window.focus();
    open();
  };
}

let unmark: (() => void) | undefined;

/** mark shows the end of a job in the tab until somebody looks at it. */
async function mark(job: Job): Promise<void> {
  unmark?.();
  const was = document.title;
  const marked = endedTitle(job);
  document.title = marked;
  const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
  const plain = icon?.getAttribute('href');
  unmark = () => {
    unmark = undefined;
    removeEventListener('focus', seen);
    document.removeEventListener('visibilitychange', seen);
    if (document.title === marked) document.title = was;
    if (icon && plain) icon.href = plain;
  };
  const mine = unmark;
  addEventListener('focus', seen);
  document.addEventListener('visibilitychange', seen);
  if (!icon || !plain) return;
  const dotted = await withDot(plain, job.status).catch(() => plain);
  if (unmark === mine) icon.href = dotted;
}

function seen(): void {
  if (document.visibilityState === 'visible') unmark?.();
}

/** withDot is the icon with a dot in the colour of a status. */
async function withDot(icon: string, status: Job['status']): Promise<string> {
  const drawn = await (await fetch(icon)).text();
  const colour = getComputedStyle(document.documentElement).getPropertyValue(`--adit-bar-${status}`).trim();
  const dot = `<circle cx="24" cy="24" r="8" fill="${colour}" stroke="#fff" stroke-width="2"/>`;
  return `data:image/svg+xml,${encodeURIComponent(drawn.replace('</svg>', `${dot}</svg>`))}`;
}
