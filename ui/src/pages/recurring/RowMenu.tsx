// SPDX-License-Identifier: AGPL-3.0-or-later

import { Menu } from '@mantine/core';
import {
  IconClockEdit,
  IconDots,
  IconPlayerPause,
  IconPlayerPlay,
  IconRepeatOnce,
  IconTrash,
} from '@tabler/icons-react';

import { IconButton } from '../../components/controls';
import { useFocusBack } from '../../components/focus';
import { kindWords } from '../../components/jobs';
import type { Acting } from './acting';

/** RowMenu offers what can be done. */
export function RowMenu({ acting }: { acting: Acting }) {
  const opener = useFocusBack(acting.asking !== undefined);
  const { r, start, running, ask } = acting;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <IconButton label={`Actions of ${kindWords(r.kind)} ${r.id}`} ref={opener}>
          <IconDots size={17} aria-hidden />
        </IconButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item
          leftSection={<IconRepeatOnce size={15} aria-hidden />}
          disabled={running}
          onClick={() => start('run')}
        >
          Run now
        </Menu.Item>
        {r.paused ? (
          <Menu.Item
            leftSection={<IconPlayerPlay size={15} aria-hidden />}
            disabled={running}
            onClick={() => start('continue')}
          >
            Continue
          </Menu.Item>
        ) : (
          <Menu.Item
            leftSection={<IconPlayerPause size={15} aria-hidden />}
            disabled={running}
            onClick={() => start('pause')}
          >
            Pause
          </Menu.Item>
        )}
        <Menu.Item leftSection={<IconClockEdit size={15} aria-hidden />} onClick={() => ask('time')}>
          Change the time…
        </Menu.Item>
        <Menu.Item leftSection={<IconTrash size={15} aria-hidden />} onClick={() => ask('remove')}>
          Remove…
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
