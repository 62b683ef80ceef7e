// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Menu } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';

import { useOpenedAtOnce } from '../../components/focus';
import type { Acting } from '../../jobs/acting';
import { actionIcons } from '../../jobs/actionIcons';
import { actionWords, type JobAction } from '../../jobs/actions';

type MoreMenuProps = { acting: Acting; actions: JobAction[] };

/** MoreMenu holds the actions that have no button of their own. It is loaded by the click that opens it. */
export default function MoreMenu({ acting, actions }: MoreMenuProps) {
  const [button, opened, open] = useOpenedAtOnce();
  return (
    <Menu position="bottom-end" opened={opened} onChange={open}>
      <Menu.Target>
        <Button ref={button} variant="default" rightSection={<IconChevronDown size={14} aria-hidden />}>
          More
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {actions.map((action) => {
          const Icon = actionIcons[action];
          return (
            <Menu.Item
              key={action}
              leftSection={<Icon size={15} aria-hidden />}
              onClick={() => acting.start(action)}
            >
              {actionWords(action, acting.job)}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}
