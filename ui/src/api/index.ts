// SPDX-License-Identifier: AGPL-3.0-or-later

import { Kept } from '../kept';
import { gated } from './gate';
import type { DownloadStudyData } from './gen';
import { client } from './gen/client.gen';
import { type Problem, problemOf } from './problem';

export * from './gen';
export { Problem } from './problem';
export { askAgain, queries } from './queries';

client.setConfig({ baseUrl: location.origin, throwOnError: true, fetch: gated });
/** maintenance is what people without staff rights are told while only staff may work; empty: everybody may. */
export const maintenance = new Kept('');

client.interceptors.error.use((error, response) => {
  const p = problemOf(error, response);
  if (p.code === 'maintenance') maintenance.set(p.message);
  return p;
});

/** problem is the error of a query or mutation, as a Problem. */
export function problem(error: unknown): Problem | null {
  return error ? problemOf(error) : null;
}

/** downloadURL is the address at which the browser itself takes a study away. It holds UIDs, but no patient's value. */
export function downloadURL(
  path: DownloadStudyData['path'],
  query: NonNullable<DownloadStudyData['query']>,
): string {
  return client.buildUrl<DownloadStudyData>({
    baseUrl: location.origin,
    url: '/api/v1/servers/{name}/studies/{study}/download',
    path,
    query,
    querySerializer: { parameters: { series: { array: { explode: false } } } },
  });
}
