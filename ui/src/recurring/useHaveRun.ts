// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';

import type { NewRecurrence } from '../api';

/** useHaveRun makes a recurrence, and shows it. Few do so: what makes it is loaded then. */
export function useHaveRun(done: () => void) {
  const go = useNavigate();
  return useMutation({
    mutationFn: async (body: NewRecurrence) => (await import('./queries')).haveRun(body),
    onSuccess: (id) => {
      done();
      void go({ to: '/jobs/recurring', hash: String(id) });
    },
  });
}
