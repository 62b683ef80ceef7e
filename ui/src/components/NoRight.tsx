// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconLock } from '@tabler/icons-react';

import { Empty, Page } from './layout';

/** NoRight is the page of a module for those whose groups may not use it. */
export function NoRight({ module }: { module: string }) {
  return (
    <Page title={module}>
      <Empty icon={<IconLock size={30} stroke={1.4} aria-hidden />} title="You may not use this page">
        Your groups do not have the right <i>{module}</i>. Ask an administrator.
      </Empty>
    </Page>
  );
}
