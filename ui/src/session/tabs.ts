// SPDX-License-Identifier: AGPL-3.0-or-later

import { type Me, queries } from '../api';
import { answer } from '../api/gate';
import { live } from '../live';
import { meKey } from './me';

// All tabs of a browser share one session: who logs in or out in one of them does so in all.
const tabs = new BroadcastChannel('adit-session');

/** tellTabs tells the other tabs who is logged in from now on; empty: nobody. */
export function tellTabs(username: string): void {
  tabs.postMessage(username);
}

/** hearTabs has a page that shows somebody's work end when somebody else has logged in, and go on if it is the same. */
export function hearTabs(): void {
  tabs.onmessage = ({ data }: MessageEvent<string>) => {
    const me = queries.getQueryData<Me>(meKey);
    if (!me) return;
    if (me.username !== data) {
      location.replace('/'); // nothing of the one stays in front of the other
      return;
    }
    answer('login', true);
    live.start();
  };
}
