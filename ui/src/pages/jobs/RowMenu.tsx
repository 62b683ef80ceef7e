// SPDX-License-Identifier: AGPL-3.0-or-later

import { Menu } from '@mantine/core';
import { IconDots, IconShieldLock } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';

import { IconButton } from '../../components/controls';
import { useOpenedAtOnce } from '../../components/focus';
import type { Acting } from '../../jobs/acting';
import { actionIcons } from '../../jobs/actionIcons';
import { actionWords } from '../../jobs/actions';

/** RowMenu offers what is allowed now, and the report. It is loaded by the click that opens it. */
export default function RowMenu({ acting }: { acting: Acting }) {
  const go = useNavigate();
  const [button, opened, open] = useOpenedAtOnce();
  const { job, allowed } = acting;
  return (
    <Menu position="bottom-end" opened={opened} onChange={open}>
      <Menu.Target>
        <IconButton ref={button} label={`Actions of job ${job.id}`}>
          <IconDots size={17} aria-hidden />
        </IconButton>
      </Menu.Target>
      <Menu.Dropdown>
        {allowed.map((action) => {
          const Icon = actionIcons[action];
          return (
            <Menu.Item
              key={action}
              leftSection={<Icon size={15} aria-hidden />}
              onClick={() => acting.start(action)}
            >
              {actionWords(action, job)}
            </Menu.Item>
          );
        })}
        {allowed.length > 0 && job.deidentified && <Menu.Divider />}
        {job.deidentified && (
          <Menu.Item
            leftSection={<IconShieldLock size={15} aria-hidden />}
            onClick={() => void go({ to: '/jobs/$id/deidentification', params: { id: String(job.id) } })}
          >
            De-identification report
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
