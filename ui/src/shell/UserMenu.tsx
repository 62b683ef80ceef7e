// SPDX-License-Identifier: AGPL-3.0-or-later

import { Menu } from '@mantine/core';
import {
  IconDeviceDesktop,
  IconInfoCircle,
  IconKey,
  IconLogout,
  IconMoon,
  IconSettings,
  IconSun,
} from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { lazy, type Ref, Suspense, useState } from 'react';

import { changeMe, endSession } from '../api';
import { useOpenedAtOnce } from '../components/focus';
import { askMe, meKey, useMe } from '../session/me';
import { type Scheme, useScheme } from '../session/scheme';
import { tellTabs } from '../session/tabs';
import { UserButton } from './UserButton';

export const schemes = [
  { value: 'light', label: 'Light', icon: IconSun },
  { value: 'dark', label: 'Dark', icon: IconMoon },
  { value: 'auto', label: 'Like the system', icon: IconDeviceDesktop },
] as const;

const AboutDialog = lazy(() => import('./AboutDialog'));

export default function OpenedUserMenu() {
  const [about, setAbout] = useState<'never' | 'open' | 'closed'>('never');
  const [opener, opened, open] = useOpenedAtOnce();
  return (
    <>
      <OpenMenu ref={opener} opened={opened} open={open} onAbout={() => setAbout('open')} />
      {about !== 'never' && (
        <Suspense fallback={null}>
          <AboutDialog
            opened={about === 'open'}
            onClose={() => setAbout('closed')}
            onClosed={() => opener.current?.focus()}
          />
        </Suspense>
      )}
    </>
  );
}

type OpenMenuProps = {
  ref: Ref<HTMLButtonElement>;
  opened: boolean;
  open: (opened: boolean) => void;
  onAbout: () => void;
};

function OpenMenu({ ref, opened, open, onAbout }: OpenMenuProps) {
  const me = useMe();
  const go = useNavigate();
  const client = useQueryClient();
  const [scheme, choose] = useScheme();
  const join = async (active_group: string) => {
    client.setQueryData(meKey, await askMe(() => changeMe({ body: { active_group } })));
  };
  const leave = async () => {
    await endSession().catch(() => undefined);
    tellTabs('');
    location.assign('/login'); // nothing of this person stays in the page
  };
  return (
    <Menu position="top-start" width={232} opened={opened} onChange={open}>
      <Menu.Target>
        <UserButton ref={ref} />
      </Menu.Target>
      <Menu.Dropdown>
        {me.groups.length > 1 && (
          <>
            <Menu.Label>Active group</Menu.Label>
            <Menu.RadioGroup value={me.active_group} onChange={(g) => void join(g)}>
              {me.groups.map((g) => (
                <Menu.RadioItem key={g} value={g}>
                  {g}
                </Menu.RadioItem>
              ))}
            </Menu.RadioGroup>
            <Menu.Divider />
          </>
        )}
        <Menu.Label>Colours</Menu.Label>
        <Menu.RadioGroup value={scheme} onChange={(v) => choose(v as Scheme)}>
          {schemes.map((s) => (
            <Menu.RadioItem key={s.value} value={s.value} rightSection={<s.icon size={15} aria-hidden />}>
              {s.label}
            </Menu.RadioItem>
          ))}
        </Menu.RadioGroup>
        <Menu.Divider />
        <Menu.Item
          leftSection={<IconKey size={16} aria-hidden />}
          onClick={() => void go({ to: '/profile' })}
        >
          Profile and tokens
        </Menu.Item>
        <Menu.Item
          leftSection={<IconSettings size={16} aria-hidden />}
          onClick={() => void go({ to: '/profile', search: { tab: 'preferences' } })}
        >
          Preferences
        </Menu.Item>
        <Menu.Item leftSection={<IconInfoCircle size={16} aria-hidden />} onClick={onAbout}>
          About ADIT and its source
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={() => void leave()}>
          Log out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
