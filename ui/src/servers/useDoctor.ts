// SPDX-License-Identifier: AGPL-3.0-or-later

import { useEffect, useState } from 'react';

import { type Check, type ServerSettings, type Suggestion } from '../api';
import { busy, checkUnsaved, merged } from './check';

/** Report is how far the check of a server has come. */
export type Report = {
  state: 'idle' | 'running' | 'done';
  checks: Check[];
  /** The settings, with what was found in them; only when the check is done. */
  found?: ServerSettings;
  error?: unknown;
};

const idle: Report = { state: 'idle', checks: [] };
const lastKey = 700; // ms after which somebody has typed the last key
const again = 1000; // ms after which a check is tried again while the one before ends

const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** once makes one check, line by line. */
async function once(settings: ServerSettings, signal: AbortSignal, tell: (r: Report) => void) {
  const checks: Check[] = [];
  const suggestions: Suggestion[] = [];
  tell({ state: 'running', checks: [] });
  for (let tries = 1; ; tries++) {
    try {
      for await (const line of checkUnsaved(settings, signal)) {
        if (line.suggestion) suggestions.push(line.suggestion);
        if (!line.check) continue;
        checks.push(line.check);
        tell({ state: 'running', checks: [...checks] });
      }
      return { checks, suggestions };
    } catch (error) {
      if (!busy(error) || tries === 10) throw error;
      await pause(again, signal);
    }
  }
}

/** examine checks a server, and once more where it is found that it takes TLS. */
async function examine(settings: ServerSettings, signal: AbortSignal, tell: (r: Report) => void) {
  for (let round = 1; ; round++) {
    const { checks, suggestions } = await once(settings, signal, tell);
    const tls = suggestions.filter((s) => s.setting.startsWith('tls.'));
    if (tls.length === 0 || round === 3) {
      tell({ state: 'done', checks, found: merged(settings, suggestions) });
      return;
    }
    settings = merged(settings, tls);
  }
}

/** useDoctor checks a server as soon as nobody types any more; null: there is nothing to check yet. */
export function useDoctor(settings: ServerSettings | null): [Report, repeat: () => void] {
  const [round, next] = useState(0);
  const of = settings && JSON.stringify([settings, round]);
  const [last, setLast] = useState<{ of: string; report: Report }>();
  useEffect(() => {
    if (!of) return;
    const stop = new AbortController();
    const tell = (report: Report) => {
      if (!stop.signal.aborted) setLast({ of, report });
    };
    const run = async () => {
      await pause(lastKey, stop.signal);
      if (stop.signal.aborted) return;
      const [asked] = JSON.parse(of) as [ServerSettings, number];
      await examine(asked, stop.signal, tell);
    };
    run().catch((error: unknown) => tell({ state: 'done', checks: [], error }));
    return () => stop.abort();
  }, [of]);
  return [last && last.of === of ? last.report : idle, () => next((n) => n + 1)];
}
