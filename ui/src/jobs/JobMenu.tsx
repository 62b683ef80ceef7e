// SPDX-License-Identifier: AGPL-3.0-or-later

import { Menu } from '@mantine/core';
import { IconDots } from '@tabler/icons-react';
import type { ReactNode } from 'react';

import { IconButton } from '../components/controls';
import type { Acting } from './acting';
import { actionIcons } from './actionIcons';
import { actionWords, type JobAction } from './actions';

type JobMenuProps = {
  acting: Acting;
  /** Actions that have a button elsewhere. */
  without?: JobAction[];
  /** Items below the actions. */
  children?: ReactNode;
};

/** JobMenu offers what is allowed now. Where nothing is, and there are no other items, it is not there. */
export function JobMenu({ acting, without = [], children }: JobMenuProps) {
  const actions = acting.allowed.filter((a) => !without.includes(a));
  if (actions.length === 0 && !children) return null;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <IconButton label={`Actions of job ${acting.job.id}`}>
          <IconDots size={17} aria-hidden />
        </IconButton>
      </Menu.Target>
      <Menu.Dropdown>
        {actions.map((action) => {
          const Icon = actionIcons[action];
          return (
            <Menu.Item
              key={action}
              leftSection={<Icon size={15} aria-hidden />}
              disabled={acting.running}
              onClick={() => acting.start(action)}
            >
              {actionWords(action, acting.job)}
            </Menu.Item>
          );
        })}
        {actions.length > 0 && children && <Menu.Divider />}
        {children}
      </Menu.Dropdown>
    </Menu>
  );
}
