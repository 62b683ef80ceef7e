// SPDX-License-Identifier: AGPL-3.0-or-later

import { type Check, Problem, type ServerSettings, type Suggestion } from '../api';
import { gated } from '../api/gate';
import { problemOf } from '../api/problem';

/** CheckLine is one line of a check: something that was tried, or, after all of these, a suggestion. */
export type CheckLine = { check?: Check; suggestion?: Suggestion };

/** linesOf reads a stream line by line, each as JSON. */
export async function* linesOf<T>(stream: ReadableStream<Uint8Array>): AsyncGenerator<T> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = done ? '' : (lines.pop() ?? '');
      for (const line of lines) {
        if (line.trim()) yield JSON.parse(line) as T;
      }
      if (done) return;
    }
  } finally {
    void reader.cancel().catch(() => undefined); // whoever leaves the loop wants no more
  }
}

/** checkUnsaved checks a server by settings that are not saved, and tells line by line what was found. */
export async function* checkUnsaved(
  settings: ServerSettings,
  signal: AbortSignal,
): AsyncGenerator<CheckLine> {
  const response = await gated(new URL('/api/v1/servers:check', location.origin), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/jsonl' },
    body: JSON.stringify(settings),
    signal,
  });
  if (!response.ok || !response.body) {
    throw problemOf(await response.json().catch(() => null), response);
  }
  yield* linesOf<CheckLine>(response.body);
}

/** busy reports that the check before has not ended yet: one at a time is made for each person. */
export function busy(error: unknown): boolean {
  return error instanceof Problem && error.status === 409;
}

/** merged is settings with what a check suggests in them. An address has to be allowed by a person. */
export function merged(settings: ServerSettings, suggestions: Suggestion[]): ServerSettings {
  const all = structuredClone(settings) as unknown as Record<string, unknown>;
  for (const { setting, suggested } of suggestions) {
    if (setting === 'retrieve.address_ranges') continue;
    const path = setting.split('.');
    const last = path.pop();
    if (!last) continue;
    let at = all;
    for (const part of path) at = (at[part] ??= {}) as Record<string, unknown>;
    at[last] = suggested;
  }
  return all as unknown as ServerSettings;
}

/** Found is a line about what a check has found, for people. */
export type Found = { key: string; ok: boolean; title: string; says: string };

const titles: Record<string, string> = {
  TLS: 'TLS',
  'TLS (ours)': 'The certificate of ADIT',
  association: 'Connection',
  echo: 'Echo',
  'find studies': 'Search',
  'find keys': 'Search criteria',
  'find limit': 'Limit of results',
  dicomweb: 'DICOMweb',
  'dicomweb access': 'Access by DICOMweb',
  'TLS (DICOMweb)': 'TLS (DICOMweb)',
  'qido studies': 'Search by QIDO-RS',
  'qido keys': 'Search criteria (QIDO-RS)',
  'qido limit': 'Limit of results (QIDO-RS)',
  'qido paging': 'Pages (QIDO-RS)',
  'qido series': 'Series (QIDO-RS)',
  'qido images': 'Single images (QIDO-RS)',
  metadata: 'Metadata',
  wado: 'WADO-RS',
  stow: 'STOW-RS',
  'find series': 'Series',
  'find images': 'Single images',
  get: 'C-GET',
  move: 'C-MOVE',
  'transfer syntaxes': 'Compression',
};

const services: Record<string, string> = {
  'find (study root)': 'search (C-FIND)',
  'find (patient root)': 'search by patient (C-FIND)',
  'get (study root)': 'C-GET',
  'get (patient root)': 'C-GET by patient',
  'move (study root)': 'C-MOVE',
  'move (patient root)': 'C-MOVE by patient',
  store: 'storing (C-STORE)',
};

function listed(words: string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words[words.length - 1] ?? ''}`;
}

/** findings writes checks for people: the services that were found become one line. */
export function findings(checks: Check[]): Found[] {
  const offered = checks.filter((c) => c.ok && services[c.name]);
  const gets = checks.some((c) => c.name === 'get' && c.ok);
  const lines: Found[] = [];
  for (const c of checks) {
    if (c === offered[0]) {
      const says = `It offers ${listed(offered.map((o) => services[o.name] ?? o.name))}.`;
      lines.push({ key: 'services', ok: true, title: 'Services', says });
    }
    if (offered.includes(c)) continue;
    const begin = c.name === 'move' && !c.ok && gets ? ' C-GET works, so you can begin without.' : '';
    lines.push({
      key: c.name,
      ok: c.ok,
      title: titles[c.name] ?? services[c.name] ?? c.name,
      says: c.detail + begin,
    });
  }
  return lines;
}

/** stores reports whether a check has found that a server takes what is sent to it. */
export function stores(checks: Check[]): boolean {
  return checks.some((c) => c.name === 'store' && c.ok);
}

/** usable reports whether settings name a service: a server without any is of no use, and is not saved. */
export function usable(settings: ServerSettings): boolean {
  return Object.values(settings.supports).includes(true);
}

/** Four are the values that a person has to know of a server, as they were typed. */
export type Four = { name: string; ae_title: string; host: string; port: string };

const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;
const ipv6 = /^[0-9a-f:]*:[0-9a-f:.]*$/i;
const fourNumbers = /^\d+(\.\d+)*$/;

function isHost(text: string): boolean {
  if (ipv6.test(text)) return URL.canParse(`http://[${text}]/`);
  if (!fourNumbers.test(text)) return hostName.test(text);
  const parts = text.split('.');
  return parts.length === 4 && parts.every((p) => Number(p) <= 255);
}

/** wrong says what cannot be right about the values that were typed; what is empty is not wrong yet. */
export function wrong(v: Four): Partial<Four> {
  const says: Partial<Four> = {};
  const title = v.ae_title.trim();
  if (v.name.trim().length > 64) says.name = 'At most 64 characters.';
  if (title.length > 16) says.ae_title = 'At most 16 characters.';
  else if (title && !/^[ -[\]-~]+$/.test(title))
    says.ae_title = 'Letters without accents, digits, and no backslash.';
  if (v.host.trim() && !isHost(v.host.trim()))
    says.host = 'A host name or an IP address, without http:// or a port.';
  if (v.port.trim() && !(/^\d+$/.test(v.port.trim()) && Number(v.port) >= 1 && Number(v.port) <= 65535))
    says.port = '1 to 65535.';
  return says;
}

/** settingsOf are the settings by which a server is checked; null as long as the values cannot be right. */
export function settingsOf(v: Four): ServerSettings | null {
  const whole = Object.values(v).every((text) => text.trim() !== '');
  if (!whole || Object.keys(wrong(v)).length > 0) return null;
  return {
    name: v.name.trim(),
    ae_title: v.ae_title.trim(),
    host: v.host.trim(),
    port: Number(v.port),
    supports: {},
  };
}
