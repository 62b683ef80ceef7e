// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Me, NewToken, Token } from '../../api';
import { when } from '../../format/times';

/** Person is how somebody is called and reached; empty: not told. */
export type Person = Record<'first_name' | 'last_name' | 'mail' | 'phone' | 'department', string>;

export function personOf(me: Me): Person {
  const { first_name = '', last_name = '', mail = '', phone = '', department = '' } = me;
  return { first_name, last_name, mail, phone, department };
}

/** changes are what a form says otherwise than the account. */
export function changes(me: Me, form: Person): Partial<Person> {
  const was = personOf(me);
  const differs = (of: keyof Person) => form[of].trim() !== was[of];
  const fields = (Object.keys(form) as (keyof Person)[]).filter(differs);
  return Object.fromEntries(fields.map((of) => [of, form[of].trim()]));
}

type Lifetime = NewToken['lifetime'];

/** lifetimes are how long a token may work, for those who may make one for ever and those who may not. */
export function lifetimes(forEver: boolean): { value: Lifetime; label: string }[] {
  return [
    { value: '24h', label: '24 hours' },
    { value: '7d', label: '7 days' },
    { value: '30d', label: '30 days' },
    { value: '90d', label: '90 days' },
    ...(forEver ? [{ value: 'never' as const, label: 'No expiry' }] : []),
  ];
}

/** ends says when a token stops working. */
export function ends(token: Token, now = new Date()): string {
  if (!token.expires_at) return 'never';
  const at = new Date(token.expires_at);
  return at <= now ? `expired ${when(at, now)}` : when(at, now);
}

/** curl is a command that shows whose a token is. The token is taken from a variable, so that no history keeps it. */
export function curl(origin: string): string {
  return `curl -H "Authorization: Bearer $ADIT_TOKEN" ${origin}/api/v1/me`;
}
