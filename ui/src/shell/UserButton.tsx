// SPDX-License-Identifier: AGPL-3.0-or-later

import { type ComponentProps, lazy, Suspense, useState } from 'react';

import { useMe } from '../session/me';
import c from './Shell.module.css';

const Loaded = lazy(() => import('./UserMenu'));

/** UserMenu is the button that shows who is logged in, with its menu, which is loaded when one comes near it. */
export function UserMenu() {
  const [near, come] = useState<'by' | 'opened'>();
  const button = <UserButton onPointerEnter={() => come('by')} onClick={() => come('opened')} />;
  if (!near) return button;
  return (
    <Suspense fallback={button}>
      <Loaded opened={near === 'opened'} />
    </Suspense>
  );
}

/** UserButton shows who is logged in. */
export function UserButton(props: ComponentProps<'button'>) {
  const me = useMe();
  const initials = (
    me.first_name && me.last_name ? `${me.first_name[0]}${me.last_name[0]}` : me.username.slice(0, 2)
  ).toUpperCase();
  return (
    <button {...props} className={c.user} type="button">
      <span className={c.avatar} aria-hidden>
        {initials}
      </span>
      <span className={c.who}>
        <b className="ellipsis">{me.username}</b>
        {me.active_group && <span className="ellipsis">{me.active_group}</span>}
      </span>
    </button>
  );
}
