// SPDX-License-Identifier: AGPL-3.0-or-later

import { useEffect, useRef, useSyncExternalStore } from 'react';

import type { LiveEvent } from '../api';
import { Live, type State } from './socket';

export { ask, type Newest } from './news';

/** seemsRefused finds out whether one is still logged in; the session sets it. */
let seemsRefused = (): void => undefined;
export function onRefused(f: () => void): void {
  seemsRefused = f;
}

const address = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/live`;
export const live = new Live(address, { refused: () => seemsRefused() });

/** useLive tells whether what the page shows is up to date. */
export function useLive(): State {
  return useSyncExternalStore(live.watch, live.now);
}

/** useTopic shows each event of a topic while the component is there; null: none. */
export function useTopic(topic: string | null, listener: (event: LiveEvent) => void): void {
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(
    () => (topic === null ? undefined : live.subscribe(topic, (event) => latest.current(event))),
    [topic],
  );
}
