// SPDX-License-Identifier: AGPL-3.0-or-later

import { Burger } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { Link, Outlet } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';

import { maintenance } from '../api';
import { clock } from '../format/times';
import { useFeed } from '../jobs/feed';
import { useKept } from '../kept';
import { useLive } from '../live';
import { usePreferences } from '../session/me';
import { useKeptScheme } from '../session/scheme';
import { useKeys } from './keys';
import { Logo } from './Logo';
import { Nav } from './Nav';
import c from './Shell.module.css';
import { toast, useAnyToast } from './toast';
import { UserMenu } from './UserButton';

const Palette = lazy(() => import('./Palette'));
const KeyList = lazy(() => import('./KeyList'));
const MobileNav = lazy(() => import('./MobileNav'));
const Maintenance = lazy(() => import('./Maintenance'));
const Toasts = lazy(() => import('./Toasts'));

/** Shell is what stands around each page: side bar, palette, keys, toasts. */
export function Shell() {
  const [drawer, { toggle, close }] = useDisclosure(false);
  const [palette, openPalette] = useState(false);
  const [keys, openKeys] = useState(false);
  const [preferences] = usePreferences();
  const anyToast = useAnyToast();
  const closed = useKept(maintenance);
  useKeptScheme();
  useFeed((words, go) => void toast({ message: words, open: { label: 'Open', go } }));
  useKeys({
    palette: () => openPalette(true),
    list: () => openKeys(true),
    single: preferences.single_keys ?? true,
  });
  return (
    <div
      className={c.shell}
      data-rail={preferences.rail || undefined}
      data-density={preferences.density ?? 'compact'}
    >
      <a className={c.skip} href="#main">
        Skip to content
      </a>
      <nav className={c.top} aria-label="Top">
        <Burger opened={drawer} onClick={toggle} size="sm" aria-label="Menu" />
        <Link to="/" className={c.brand}>
          <Logo />
          ADIT
        </Link>
        <div className="grow" />
        <LiveDot short />
        <button type="button" className={c.user} aria-label="Go to or do" onClick={() => openPalette(true)}>
          <IconSearch size={19} aria-hidden />
        </button>
      </nav>
      <aside className={c.side} aria-label="Side bar">
        <Link to="/" className={c.brand}>
          <Logo />
          <span className={c.word}>ADIT</span>
        </Link>
        <button type="button" className={c.find} onClick={() => openPalette(true)}>
          <IconSearch size={15} aria-hidden />
          <span>Go to or do…</span>
          <kbd className={c.kbd}>Ctrl K</kbd>
        </button>
        <Nav />
        <div className={c.foot}>
          <LiveDot />
          <UserMenu />
        </div>
      </aside>
      <main className={c.main} id="main" tabIndex={-1}>
        {closed && (
          <Suspense fallback={null}>
            <Maintenance says={closed} />
          </Suspense>
        )}
        <div className={c.outlet} hidden={closed !== ''}>
          <Suspense fallback={null}>
            <Outlet />
          </Suspense>
        </div>
        {anyToast && (
          <Suspense fallback={null}>
            <Toasts />
          </Suspense>
        )}
        <div id="overlays" />
      </main>
      <Suspense fallback={null}>
        {drawer && <MobileNav close={close} />}
        {palette && <Palette onClose={() => openPalette(false)} />}
        {keys && <KeyList onClose={() => openKeys(false)} />}
      </Suspense>
    </div>
  );
}

/** LiveDot says whether what the page shows is up to date. */
function LiveDot({ short }: { short?: boolean }) {
  const { live, lost } = useLive();
  if (short && live) return null;
  const words = live ? 'Live' : lost ? `Not live since ${clock(lost)}` : 'Connecting…';
  return (
    <div className={c.livebox} role="status" title={live ? undefined : 'ADIT is asked again by itself.'}>
      <i className={c.dot} data-off={!live || undefined} />
      <span>{words}</span>
    </div>
  );
}
