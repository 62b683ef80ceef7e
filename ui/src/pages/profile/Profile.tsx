// SPDX-License-Identifier: AGPL-3.0-or-later

import '@mantine/core/styles/Tabs.css';

import { Tabs } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';

import { Page } from '../../components/layout';
import { Loading } from '../../components/states';
import c from './Profile.module.css';

const Account = lazy(() => import('./Account'));
const Preferences = lazy(() => import('./Preferences'));
const Tokens = lazy(() => import('./Tokens'));

const route = getRouteApi('/inside/shell/profile');

const tabs = [
  { value: 'profile', label: 'Profile', Content: Account },
  { value: 'tokens', label: 'API tokens', Content: Tokens },
  { value: 'preferences', label: 'Preferences', Content: Preferences },
];

/** Profile is one's own account, with what one may do and how one likes the pages. */
export default function Profile() {
  const { tab } = route.useSearch();
  const go = route.useNavigate();
  const open = tabs.find((t) => t.value === tab)?.value ?? 'profile';
  const show = (value: string | null) =>
    void go({ search: { tab: value === 'profile' ? undefined : (value ?? undefined) }, replace: true });
  return (
    <Page title="Profile">
      <Tabs className={c.page} value={open} onChange={show}>
        <Tabs.List className={c.tabs}>
          {tabs.map((t) => (
            <Tabs.Tab key={t.value} value={t.value}>
              {t.label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {tabs.map(({ value, Content }) => (
          <Tabs.Panel key={value} value={value}>
            <Suspense fallback={<Loading />}>
              <Content />
            </Suspense>
          </Tabs.Panel>
        ))}
      </Tabs>
    </Page>
  );
}
