// SPDX-License-Identifier: AGPL-3.0-or-later

import { redirect } from '@tanstack/react-router';

import { getMe, listNodes, type Me, Problem, queries } from '../api';
import { guard } from '../api/gate';
import { setDateFormat } from '../format/times';
import { live, onRefused } from '../live';
import { askMe, meKey } from './me';
import { hearTabs } from './tabs';

let later = false; // "Do this later": until the page is loaded anew

/** doLater keeps the pages of the first run away. */
export function doLater(): void {
  later = true;
}

/** known loads who is logged in; nobody: to the login, and back from there. */
export async function known(path: string): Promise<Me> {
  try {
    const me = await queries.query({
      queryKey: meKey,
      queryFn: () => askMe(getMe),
      staleTime: 'static',
      retry: false,
    });
    setDateFormat(me.preferences.date_format ?? 'auto');
    guard();
    onRefused(() => void queries.invalidateQueries({ queryKey: meKey }));
    hearTabs();
    live.start();
    return me;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) {
      redirect({ to: '/login', search: path === '/' ? {} : { next: path }, throw: true });
    }
    throw error;
  }
}

/** welcomed leads a superuser to the first run, as long as there is no server. */
export async function welcomed(me: Me): Promise<void> {
  if (later || !me.is_superuser) return;
  const { data } = await listNodes({ query: { limit: 1 } });
  if (data.items.length === 0) redirect({ to: '/welcome', throw: true });
}
