// SPDX-License-Identifier: AGPL-3.0-or-later

import type { RouterHistory } from '@tanstack/react-router';

/**
 * backCloses has Back close the dialog that is open, and leave the page only when there is none. A dialog that Esc does
 * not close, as that of a session that has ended, stays, and so does the page.
 */
export function backCloses(history: RouterHistory): void {
  history.block({
    enableBeforeUnload: false,
    blockerFn: ({ action }) => {
      const dialog = action === 'BACK' && document.querySelector('[role=dialog][aria-modal=true]');
      if (!dialog) return false;
      dialog.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
      return true;
    },
  });
}
