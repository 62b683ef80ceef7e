// SPDX-License-Identifier: AGPL-3.0-or-later

import { Menu } from '@mantine/core';
import { IconDots, IconShieldLock } from '@tabler/icons-react';
import { useState } from 'react';

import { IconButton } from '../components/controls';
import { actionIcons } from './actionIcons';
import { actionWords } from './actions';
import type { JobMenuProps } from './JobMenu';

/** JobMenuOpened is the menu of a job. It is loaded by the click that opens it. */
export default function JobMenuOpened({ acting, report }: JobMenuProps) {
  const [opened, open] = useState(true);
  return (
    <Menu position="bottom-end" opened={opened} onChange={open}>
      <Menu.Target>
        <IconButton label={`Actions of job ${acting.job.id}`}>
          <IconDots size={17} aria-hidden />
        </IconButton>
      </Menu.Target>
      <Menu.Dropdown>
        {acting.allowed.map((action) => {
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
        {acting.allowed.length > 0 && report && <Menu.Divider />}
        {report && (
          <Menu.Item leftSection={<IconShieldLock size={15} aria-hidden />} onClick={report}>
            De-identification report
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
