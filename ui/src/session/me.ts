// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

import { changeMe, getMe, type Me, type Preferences } from '../api';
import { ask } from '../live';

/** Permission is something that groups let their people do, as the API names it. */
export type Permission =
  | 'selective_transfer'
  | 'batch_query'
  | 'batch_transfer'
  | 'mass_transfer'
  | 'explorer'
  | 'upload'
  | 'direct_download'
  | 'tokens'
  | 'tokens_without_expiry'
  | 'transfer_unpseudonymized'
  | 'urgent'
  | 'urgent_outside_windows';

export const meKey = ['me'];

/** askMe asks who one is, be it by changing something of it, and gives what holds then. */
export const askMe = (send: () => Promise<{ data: Me }>): Promise<Me> =>
  ask(send, (me, newest) => newest('me', me));

/** Everything behind the login is drawn only when oneself is known: Root waits for it. */
export function useMe(): Me {
  const { data } = useQuery({
    queryKey: meKey,
    queryFn: () => askMe(getMe),
    staleTime: Infinity,
  });
  if (!data) throw new Error('useMe outside of the pages that need a login');
  return data;
}

/** can reports whether somebody may do something, as far as permissions say it. */
export function can(me: Me, permission: Permission): boolean {
  return me.is_superuser || me.permissions.includes(permission);
}

/** lockOf says why somebody can't use what they have the permission for; empty: they can. */
export function lockOf(me: Me, permission: Permission): string {
  if (!me.locked_sections?.includes(permission)) return '';
  return me.section_message ?? 'Staff has locked it. Try again later, or ask an administrator.';
}

/** usePreferences gives one's preferences, and a function that changes some of them. */
export function usePreferences(): [Preferences, (change: Preferences) => void] {
  const me = useMe();
  const client = useQueryClient();
  const { mutate } = useMutation({
    mutationFn: (change: Preferences) => askMe(() => changeMe({ body: { preferences: change } })),
    onMutate: (change) =>
      client.setQueryData<Me>(
        meKey,
        (now) => now && { ...now, preferences: { ...now.preferences, ...change } },
      ),
    onSuccess: (now) => client.setQueryData(meKey, now),
    onError: () => client.invalidateQueries({ queryKey: meKey }),
  });
  return [me.preferences, mutate];
}
