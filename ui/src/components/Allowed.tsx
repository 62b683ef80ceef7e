// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconBarrierBlock, IconLock } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useCallback, useEffect } from 'react';

import { can, lockOf, meKey, type Permission, useMe } from '../session/me';
import { Empty, Page } from './layout';

type AllowedProps = {
  /** What the page needs. */
  permission: Permission;
  /** What the page is called. */
  module: string;
  children: ReactNode;
};

/** Allowed is a page of a module, unless one may not use it, or it is locked for now. */
export function Allowed({ permission, module, children }: AllowedProps) {
  const me = useMe();
  if (!can(me, permission)) return <NoRight module={module} />;
  const lock = lockOf(me, permission);
  return lock ? <Locked module={module} says={lock} /> : children;
}

function NoRight({ module }: { module: string }) {
  return (
    <Page title={module}>
      <Empty icon={<IconLock size={30} stroke={1.4} aria-hidden />} title="You may not use this page">
        Your groups do not have the right <i>{module}</i>. Ask an administrator.
      </Empty>
    </Page>
  );
}

const every = 30_000; // milliseconds between two looks

/** Locked is a page that staff has closed for a while. It opens by itself. */
function Locked({ module, says }: { module: string; says: string }) {
  const client = useQueryClient();
  const look = useCallback(() => void client.invalidateQueries({ queryKey: meKey }), [client]);
  useEffect(() => {
    const timer = setInterval(look, every);
    return () => clearInterval(timer);
  }, [look]);
  return (
    <Page title={module}>
      <Empty
        icon={<IconBarrierBlock size={34} stroke={1.4} aria-hidden />}
        title={`${module} is locked for now`}
        actions={
          <Button variant="default" onClick={look}>
            Try again
          </Button>
        }
      >
        {says}
      </Empty>
    </Page>
  );
}
