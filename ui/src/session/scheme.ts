// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMantineColorScheme } from '@mantine/core';
import { useEffect } from 'react';

import { usePreferences } from './me';

export type Scheme = 'light' | 'dark' | 'auto';

/** useScheme gives the colours that somebody likes, and a function to choose others: here, and wherever they log in. */
export function useScheme(): [Scheme, (scheme: Scheme) => void] {
  const [, prefer] = usePreferences();
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const choose = (scheme: Scheme) => {
    setColorScheme(scheme);
    prefer({ theme: scheme });
  };
  return [colorScheme, choose];
}

/** useKeptScheme brings the colours that were chosen elsewhere. */
export function useKeptScheme(): void {
  const [{ theme }] = usePreferences();
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  useEffect(() => {
    if (theme) setColorScheme(theme);
  }, [theme, setColorScheme]);
}
