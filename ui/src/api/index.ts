// SPDX-License-Identifier: AGPL-3.0-or-later

import { QueryClient } from '@tanstack/react-query';

import { Kept } from '../kept';
import { gated } from './gate';
import { client } from './gen/client.gen';
import { Problem, problemOf } from './problem';

export * from './gen';
export { Problem } from './problem';

client.setConfig({ baseUrl: location.origin, throwOnError: true, fetch: gated });
/** maintenance is what people without staff rights are told while only staff may work; empty: everybody may. */
export const maintenance = new Kept('');

client.interceptors.error.use((error, response) => {
  const p = problemOf(error, response);
  if (p.code === 'maintenance') maintenance.set(p.message);
  return p;
});

/** queries holds what the server has said. Events keep it true; what no event tells of is asked for anew in a while. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) =>
        failures < 2 && error instanceof Problem && !error.calm && [0, 502, 503].includes(error.status),
    },
    mutations: { retry: false },
  },
});

/** problem is the error of a query or mutation, as a Problem. */
export function problem(error: unknown): Problem | null {
  return error ? problemOf(error) : null;
}
