// SPDX-License-Identifier: AGPL-3.0-or-later

import { day } from './times';

/** Name is a patient's name as people write it. */
export type Name = { text: string; ideographic: string };

/** name reads a PN value (PS3.5 6.2): "Family^Given^Middle^Prefix^Suffix", groups parted by "=". */
export function name(value: string): Name {
  const [alphabetic = '', ideographic = ''] = value.split('=').map(group);
  return alphabetic ? { text: alphabetic, ideographic } : { text: ideographic, ideographic: '' };
}

function group(g: string): string {
  const [family = '', given = '', middle = '', prefix = '', suffix = ''] = g.split('^').map((p) => p.trim());
  const first = [prefix, given, middle].filter(Boolean).join(' ');
  return [family, first, suffix].filter(Boolean).join(', ');
}

/** date writes a DA value, YYYYMMDD, as the reader likes dates; what is none comes back as it is. */
export function date(value: string): string {
  const parts = /^(\d{4})(\d{2})(\d{2})$/.exec(value);
  if (!parts) return value;
  return day(new Date(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3])));
}

/** time writes a TM value, HHMMSS.FFFFFF, as hours and minutes; what is none comes back as it is. */
export function time(value: string): string {
  const parts = /^(\d{2})(\d{2})/.exec(value);
  return parts ? `${parts[1]}:${parts[2]}` : value;
}

/** shortUID shortens a long UID in its middle: UIDs of one study differ at their end. */
export function shortUID(uid: string): string {
  return uid.length <= 30 ? uid : `${uid.slice(0, 12)}…${uid.slice(-14)}`;
}

/** shortUIDs shortens the long UIDs in a sentence. */
export function shortUIDs(text: string): string {
  return text.replace(/\d+(?:\.\d+)+/g, shortUID);
}

/** readDate reads a date that a person typed, in any usual form that is not ambiguous; null: it is none. */
export function readDate(text: string): string | null {
  const t = text.trim();
  const iso = /^(\d{4})-?(\d{1,2})-?(\d{1,2})$/.exec(t);
  const german = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(t);
  const [y, m, d] = iso ? [iso[1], iso[2], iso[3]] : german ? [german[3], german[2], german[1]] : [];
  if (!y || !m || !d) return null;
  const at = new Date(Number(y), Number(m) - 1, Number(d));
  if (at.getMonth() !== Number(m) - 1 || at.getDate() !== Number(d)) return null;
  return `${y}-${m.padStart(2, '0')}-${d.padStart(2, '0')}`;
}
