// SPDX-License-Identifier: AGPL-3.0-or-later

import { type RefObject, useEffect, useLayoutEffect, useRef } from 'react';

/** giveFocus gives the focus to what began something, or to the page's title if that has gone meanwhile. */
export function giveFocus(to: HTMLElement | null): void {
  (to?.isConnected ? to : document.querySelector<HTMLElement>('main h1'))?.focus();
}

/**
 * useFocusBack gives the focus back to what opened a dialog, once that has closed. Dialogs that are loaded when they are
 * opened don't do it by themselves, nor do those that the item of a menu opens.
 */
export function useFocusBack(opened: boolean): RefObject<HTMLButtonElement | null> {
  const opener = useRef<HTMLButtonElement>(null);
  const was = useRef(opened);
  useEffect(() => {
    if (was.current && !opened) giveFocus(opener.current);
    was.current = opened;
  }, [opened]);
  return opener;
}

/** useFocusKept gives the focus back to what had it when a dialog came that nobody opened: call it once that is gone. */
export function useFocusKept(opened: boolean): () => void {
  const had = useRef<HTMLElement | null>(null);
  useLayoutEffect(() => {
    if (opened) had.current = document.activeElement as HTMLElement | null;
  }, [opened]);
  return () => giveFocus(had.current);
}
