// SPDX-License-Identifier: AGPL-3.0-or-later

import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from 'react';

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

/**
 * useOpenedAtOnce opens a menu that is loaded by the press of its button: the button that comes with it takes the place
 * of that one, and its focus, so that the menu can give it back.
 */
export function useOpenedAtOnce(): [RefObject<HTMLButtonElement | null>, boolean, (opened: boolean) => void] {
  const button = useRef<HTMLButtonElement>(null);
  const [opened, open] = useState(false);
  useEffect(() => {
    button.current?.focus();
    // eslint-disable-next-line react-hooks/set-state-in-effect -- not before the button has the focus
    open(true);
  }, []);
  return [button, opened, open];
}
