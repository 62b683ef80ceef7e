// SPDX-License-Identifier: AGPL-3.0-or-later

import {
  IconFileSearch,
  IconFileSpreadsheet,
  IconHome,
  IconListDetails,
  IconPackages,
  IconTransfer,
} from '@tabler/icons-react';

import type { Me } from '../api';
import { can } from '../session/me';

/** Module is a page that has a place in the navigation. */
export type Module = {
  to: '/' | '/jobs' | '/selective-transfer' | '/batch-query' | '/batch-transfer' | '/mass-transfer';
  label: string;
  icon: typeof IconHome;
  /** The second of the two keys that lead there: g, then this. */
  key: string;
  group?: 'Transfer' | 'Data' | 'Administration';
  /** What it does, for the list of what one can start. */
  does?: string;
  allowed?: (me: Me) => boolean;
};

export const modules: Module[] = [
  { to: '/', label: 'Home', icon: IconHome, key: 'h' },
  { to: '/jobs', label: 'Jobs', icon: IconListDetails, key: 'j' },
  {
    to: '/selective-transfer',
    label: 'Selective Transfer',
    icon: IconTransfer,
    key: 's',
    group: 'Transfer',
    does: 'Search a PACS and pick studies to transfer.',
    allowed: (me) => can(me, 'selective_transfer'),
  },
  {
    to: '/batch-query',
    label: 'Batch Query',
    icon: IconFileSearch,
    key: 'q',
    group: 'Transfer',
    does: 'Find the studies of many patients by a file.',
    allowed: (me) => can(me, 'batch_query'),
  },
  {
    to: '/batch-transfer',
    label: 'Batch Transfer',
    icon: IconFileSpreadsheet,
    key: 'b',
    group: 'Transfer',
    does: 'Transfer the studies that a file names.',
    allowed: (me) => can(me, 'batch_transfer'),
  },
  {
    to: '/mass-transfer',
    label: 'Mass Transfer',
    icon: IconPackages,
    key: 'm',
    group: 'Transfer',
    does: 'Transfer what a server has of some days.',
    allowed: (me) => can(me, 'mass_transfer'),
  },
];

/** modulesOf are the modules that somebody may use. */
export function modulesOf(me: Me): Module[] {
  return modules.filter((m) => m.allowed?.(me) ?? true);
}
