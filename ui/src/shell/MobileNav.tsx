// SPDX-License-Identifier: AGPL-3.0-or-later

import { Drawer } from '@mantine/core';

import { Logo } from './Logo';
import { Nav } from './Nav';
import c from './Shell.module.css';
import { UserMenu } from './UserButton';

/** MobileNav is the navigation on narrow screens. */
export default function MobileNav({ close }: { close: () => void }) {
  const title = (
    <span className={c.drawerTitle}>
      <Logo />
      ADIT
    </span>
  );
  return (
    <Drawer opened onClose={close} size={270} title={title}>
      <div className={c.drawer}>
        <Nav onGo={close} />
        <div className={c.foot}>
          <UserMenu />
        </div>
      </div>
    </Drawer>
  );
}
