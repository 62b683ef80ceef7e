// SPDX-License-Identifier: AGPL-3.0-or-later

import { useHotkeys } from '@mantine/hooks';
import { useNavigate } from '@tanstack/react-router';
import { useEffect } from 'react';

import { useMe } from '../session/me';
import { modulesOf } from './modules';

const within = 900; // milliseconds between the two keys of a pair

type Options = { palette: () => void; list: () => void; /** single keys are shortcuts */ single: boolean };

/** useKeys listens to the keys that work on each page. */
export function useKeys({ palette, list, single }: Options): void {
  const go = useNavigate();
  const me = useMe();
  // One dialog at a time.
  useHotkeys([['mod+K', () => document.querySelector('[role=dialog]') ?? palette()]], []);
  useEffect(() => {
    if (!single) return undefined;
    let g = -within;
    const pressed = (e: KeyboardEvent) => {
      const at = e.target as HTMLElement;
      if (e.ctrlKey || e.metaKey || e.altKey || at.closest('input,textarea,select,[role=dialog]')) return;
      if (e.key === '?') return list();
      if (e.key === '/') {
        const field = document.querySelector<HTMLElement>('main [data-search], main input[type=search]');
        if (field) e.preventDefault();
        return field?.focus();
      }
      if (e.key === 'g') {
        g = e.timeStamp;
        return;
      }
      const module = e.timeStamp - g < within && modulesOf(me).find((m) => m.key === e.key);
      g = -within;
      if (module) void go({ to: module.to });
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, [go, list, me, single]);
}
