// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQuery, useQueryClient } from '@tanstack/react-query';

import {
  askAgain,
  getServerUse,
  listNodes,
  listServersNow,
  type Node,
  type ServerNow,
  type ServerUse,
} from '../api';
import { count, counted } from '../format/numbers';
import { clock, when } from '../format/times';
import { ask, useTopic } from '../live';

const nowKey = ['servers', 'now'];

/** useServersNow gives what holds of the servers that one may use, at every moment. */
export function useServersNow() {
  const client = useQueryClient();
  const query = useQuery({
    queryKey: nowKey,
    queryFn: () =>
      ask(listServersNow, (page, newest) => ({ ...page, items: newest('servers', page.items) })).then(
        (page) => page.items,
      ),
    staleTime: Infinity,
  });
  useTopic('servers', (event) => {
    if (!event.servers) return;
    const was = client.getQueryData<ServerNow[]>(nowKey);
    client.setQueryData<ServerNow[]>(nowKey, event.servers);
    // Servers that came, went, or may not be used any more are so wherever one can choose them.
    const names = (of: ServerNow[] = []) =>
      of
        .map((s) => s.name)
        .sort()
        .join('\n');
    if (was && names(was) !== names(event.servers)) askAgain({ queryKey: nodesKey });
  });
  return query;
}

const lately = 24; // hours

/** useLately gives the images that went from and to a server in each of the last hours. It is for staff. */
export function useLately(server: string, enabled: boolean) {
  return useQuery({
    queryKey: ['servers', 'use', server],
    queryFn: async () => {
      const from = new Date(Date.now() - (lately - 1) * hour);
      const { data } = await getServerUse({ path: { name: server }, query: { from: from.toISOString() } });
      return imagesByHour(data);
    },
    enabled,
    refetchInterval: hour / 12,
    staleTime: hour / 12,
  });
}

const hour = 3_600_000; // milliseconds

/** imagesByHour counts the images of each hour of a time. In hours that are left out ADIT did not run. */
export function imagesByHour({ from, to, hours }: Pick<ServerUse, 'from' | 'to' | 'hours'>): number[] {
  const first = Date.parse(from);
  const values = new Array<number>(Math.max(0, Math.round((Date.parse(to) - first) / hour))).fill(0);
  for (const h of hours) {
    const i = Math.round((Date.parse(h.hour) - first) / hour);
    if (i in values) values[i] = h.from.instances + h.to.instances;
  }
  return values;
}

/** latelySays says in words what a line of images by hour shows. */
export function latelySays(images: number[]): string {
  const all = images.reduce((sum, n) => sum + n, 0);
  return `${counted(all, 'image')} in ${images.length} hours, at most ${count(Math.max(...images))} in one`;
}

export const nodesKey = ['nodes'];

/** useNodes gives the servers and folders that one may use. */
export function useNodes() {
  return useQuery({
    queryKey: nodesKey,
    queryFn: async () => {
      const all: Node[] = [];
      for (let cursor: string | undefined; ;) {
        const { data } = await listNodes({ query: { limit: 500, cursor } });
        all.push(...data.items);
        cursor = data.next_cursor;
        if (!cursor) return all;
      }
    },
  });
}

/** fullName is what people call a DICOM node. */
export function fullName(node: Pick<Node, 'kind' | 'name'>): string {
  return `DICOM ${node.kind === 'folder' ? 'Folder' : 'Server'} ${node.name}`;
}

export type ServerState = { tone: 'success' | 'warning' | 'failure' | undefined; word: string; says: string };

/** stateOf says in a word and a sentence whether a server takes jobs now. */
export function stateOf(s: ServerNow, now = new Date()): ServerState {
  if (s.down) return { tone: 'failure', word: 'Not reachable', says: s.down };
  if (s.paused)
    return { tone: 'warning', word: 'Paused', says: `${s.name} is paused by staff; its tasks wait.` };
  if (s.in_force.batch === 0) {
    const says = s.opens ? `opens ${when(new Date(s.opens), now)}` : 'no window is planned';
    return { tone: undefined, word: 'Closed', says };
  }
  const until = s.until ? ` until ${clock(new Date(s.until))}` : '';
  if (s.takes !== undefined && s.takes < s.in_force.batch) {
    return { tone: 'warning', word: 'Busy', says: `takes ${s.takes} of ${s.in_force.batch} now` };
  }
  return { tone: 'success', word: 'Open', says: `${s.in_force.batch} at a time${until}` };
}
