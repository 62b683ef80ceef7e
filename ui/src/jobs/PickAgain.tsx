// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconSearch } from '@tabler/icons-react';

import type { Job } from '../api';
import { LinkButton } from '../components/LinkButton';
import { can, useMe } from '../session/me';

type PickAgainProps = { job: Job; studies: number; compact?: boolean };

/** PickAgain leads to a new search between the source and the destination of a job. */
export function PickAgain({ job, studies, compact }: PickAgainProps) {
  if (!can(useMe(), 'selective_transfer')) return null;
  return (
    <LinkButton
      to="/selective-transfer"
      search={{ source: job.source, destination: job.destination }}
      variant={compact ? 'subtle' : 'default'}
      size={compact ? 'compact-sm' : undefined}
      leftSection={<IconSearch size={compact ? 14 : 15} aria-hidden />}
    >
      {studies === 1 ? 'Pick the study again' : 'Pick the studies again'}
    </LinkButton>
  );
}
