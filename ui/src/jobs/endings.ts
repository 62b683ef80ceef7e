// SPDX-License-Identifier: AGPL-3.0-or-later
// How people learn that a job has ended while they look elsewhere: by the title and the icon of the tab until they look
// at it, and by the browser itself if they want that.

import { useSyncExternalStore } from 'react';

import type { Job } from '../api';
import { statusWords, total } from '../components/status';
import { counted } from '../format/numbers';

/** endedTitle is the title of a tab whose job has ended. */
export function endedTitle(job: Job): string {
  return `● Job ${job.id}: ${statusWords[job.status]} – ADIT`;
}

/** endedWords is what the browser says: no more than how many studies. */
export function endedWords(job: Job): string {
  return `Job ${job.id} has ended: ${statusWords[job.status]}, ${counted(total(job.tasks), 'study', 'studies')}.`;
}

/** Jobs that somebody wants to be told of, whatever their preference; until the page is left. */
let told: ReadonlySet<number> = new Set();
const listeners = new Set<() => void>();

function setTold(ids: ReadonlySet<number>): void {
  told = ids;
  for (const listener of listeners) listener();
}

const watch = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** allowNotifications asks for what the browser asks people for. It tells whether they agreed. */
export async function allowNotifications(): Promise<boolean> {
  if (!('Notification' in window)) return false;
  return (await Notification.requestPermission()) === 'granted';
}

/** useTellMe lets somebody be told by the browser when a job has ended; tell gives false if the browser may not. */
export function useTellMe(id: number): { on: boolean; tell: () => Promise<boolean>; stop: () => void } {
  const ids = useSyncExternalStore(watch, () => told);
  return {
    on: ids.has(id),
    tell: async () => {
      const may = await allowNotifications();
      if (may) setTold(new Set([...told, id]));
      return may;
    },
    stop: () => setTold(new Set([...told].filter((i) => i !== id))),
  };
}

/** jobEnded tells of the end of one's own job whoever does not look at the page now. */
export function jobEnded(job: Job, always: boolean, open: () => void): void {
  const looking = document.visibilityState === 'visible' && document.hasFocus();
  if (looking) return;
  void mark(job);
  const wanted = always || told.has(job.id);
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
