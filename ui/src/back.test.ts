// SPDX-License-Identifier: AGPL-3.0-or-later

import type { RouterHistory } from '@tanstack/react-router';
import { expect, test } from 'vitest';

import { backCloses } from './back';

test('Back closes the dialog that is open, and leaves the page when there is none', () => {
  type Blocker = Parameters<RouterHistory['block']>[0];
  const asked: Blocker[] = [];
  backCloses({ block: (blocker: Blocker) => void asked.push(blocker) } as unknown as RouterHistory);
  const stays = (action: 'BACK' | 'PUSH'): unknown =>
    asked[0]?.blockerFn({ action } as Parameters<Blocker['blockerFn']>[0]);

  expect(stays('BACK')).toBe(false);
  document.body.innerHTML = '<div role="dialog" aria-modal="true"></div>';
  let closed = 0;
  addEventListener('keydown', (e) => (closed += e.key === 'Escape' ? 1 : 0));
  expect(stays('PUSH')).toBe(false); // a link in the dialog
  expect(closed).toBe(0);
  expect(stays('BACK')).toBe(true);
  expect(closed).toBe(1);
});
