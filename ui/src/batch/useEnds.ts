// SPDX-License-Identifier: AGPL-3.0-or-later

import { useNavigate, useSearch } from '@tanstack/react-router';

import type { Node } from '../api';
import type { BatchSearch } from '../router';
import { usePreferences } from '../session/me';

type Route = '/batch-query' | '/batch-transfer' | '/mass-transfer';

/** useBatchAddress gives what the address of a batch page says, and changes it. */
export function useBatchAddress(route: Route): [BatchSearch, (part: BatchSearch) => void] {
  const address = useSearch({ from: `/inside/shell${route}` });
  const go = useNavigate({ from: route });
  const [preferences, prefer] = usePreferences();
  const change = (part: BatchSearch) => {
    void go({ search: (now) => ({ ...now, ...part }), replace: true, resetScroll: false });
    const [first] = part.source?.split(',') ?? [];
    if (first) prefer({ last_source: first });
    if (part.destination) prefer({ last_destination: part.destination });
  };
  const known = {
    source: address.source ?? preferences.last_source,
    destination: address.destination ?? preferences.last_destination,
    project: address.project,
  };
  return [known, change];
}

/** sourcesOf are the servers that one may read from. */
export function sourcesOf(nodes: Node[]): Node[] {
  return nodes.filter((n) => n.source && n.kind === 'server');
}
