// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconRoad } from '@tabler/icons-react';
import type { ReactNode } from 'react';

import { Empty, Page } from './layout';
import { LinkButton } from './LinkButton';

type NowhereProps = { title: string; crumbs?: ReactNode; to: '/' | '/jobs'; children: string };

/** Nowhere is the page of what is not there. It does not tell whether somebody else has something there. */
export function Nowhere({ title, crumbs, to, children }: NowhereProps) {
  return (
    <Page title={title} crumbs={crumbs}>
      <Empty
        icon={<IconRoad size={34} stroke={1.4} aria-hidden />}
        title="There is nothing at this address, or it is somebody else’s"
        actions={<LinkButton to={to}>{to === '/' ? 'Home' : 'Jobs'}</LinkButton>}
      >
        {children}
      </Empty>
    </Page>
  );
}
