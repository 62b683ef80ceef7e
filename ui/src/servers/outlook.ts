// SPDX-License-Identifier: AGPL-3.0-or-later

import type { ServerNow } from '../api';
import { clock, when } from '../format/times';

/** Outlook says when a transfer will run. */
export type Outlook = { says: string; waits: boolean };

/** whenItRuns says when a transfer from a source will run; its destination is named only if that holds it up. */
export function whenItRuns(source: ServerNow, destination?: ServerNow, now = new Date()): Outlook {
  const held = heldUp(source, now) ?? (destination && heldUp(destination, now));
  if (held) return { says: held, waits: true };
  const { name, takes } = source;
  const most = source.in_force.batch;
  const until = source.until ? ` until ${end(new Date(source.until), now)}` : '';
  if (takes !== undefined && takes < most) {
    const says = `Transfers start at once: ${name} takes ${takes} of ${most} at a time now, since it refused more.`;
    return { says, waits: false };
  }
  if (source.batch_in_use >= most) {
    const says = `${name} is busy with other transfers, ${most} at a time; this one takes its turn.`;
    return { says, waits: false };
  }
  return { says: `Transfers start at once: ${name} takes ${most} at a time${until}.`, waits: false };
}

/** heldUp says why no job with a server starts now, if none does. */
function heldUp(server: ServerNow, now: Date, what = 'transfer'): string | undefined {
  const { name } = server;
  if (server.down) return `${name} is not reachable now; the ${what} waits.`;
  if (server.paused) return `${name} is paused by staff; the ${what} waits.`;
  if (server.in_force.batch === 0) {
    const closed = `${name} is closed for jobs`;
    return server.opens
      ? `${closed} until ${end(new Date(server.opens), now)}; the ${what} waits.`
      : `${closed}, and no opening time is planned; the ${what} waits.`;
  }
  if (server.takes === 0) return `${name} refuses jobs now; the ${what} waits.`;
  return undefined;
}

/** Within a day the time says enough. */
function end(t: Date, now: Date): string {
  return t.getTime() - now.getTime() < 86_400_000 ? clock(t) : when(t, now);
}

/** goneSays tells of a source and a destination that were chosen last and can't be used any more; empty: they can. */
export function goneSays(source = '', destination = ''): string {
  if (source && destination && source !== destination) {
    return `${source} and ${destination} are not there any more, or you may not use them. Choose others.`;
  }
  const name = source || destination;
  return name && `${name} is not there any more, or you may not use it. Choose another one.`;
}

/** whenItAsks says when a batch query at some servers will run: those that hold it up are named first. */
export function whenItAsks(servers: ServerNow[], now = new Date()): Outlook | undefined {
  const [first, ...others] = servers;
  if (!first) return undefined;
  const held = servers.map((s) => heldUp(s, now, 'query')).filter((says) => says !== undefined);
  if (held.length > 0) return { says: held.join(' '), waits: true };
  if (others.length > 0) return { says: 'All of them are asked at once.', waits: false };
  const { name, in_force: limits, until } = first;
  const to = until ? ` until ${end(new Date(until), now)}` : '';
  return { says: `${name} is asked at once, ${limits.batch} rows at a time${to}.`, waits: false };
}
