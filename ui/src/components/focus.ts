// SPDX-License-Identifier: AGPL-3.0-or-later

import { type RefObject, useEffect, useRef } from 'react';

/**
 * useFocusBack gives the focus back to what opened a dialog, once that has closed. Dialogs that are loaded when they are
 * opened don't do it by themselves, nor do those that the item of a menu opens.
 */
export function useFocusBack(opened: boolean): RefObject<HTMLButtonElement | null> {
  const opener = useRef<HTMLButtonElement>(null);
  const was = useRef(opened);
  useEffect(() => {
    if (was.current && !opened) opener.current?.focus();
    was.current = opened;
  }, [opened]);
  return opener;
}
