// SPDX-License-Identifier: AGPL-3.0-or-later

import { type ComponentProps, lazy, Suspense, useState } from 'react';

import { useMe } from '../session/me';
import c from './Shell.module.css';

const load = () => import('./UserMenu');
const Opened = lazy(load);

/** UserMenu is the button that shows who is logged in, with its menu, which is loaded when one comes near it. */
export function UserMenu() {
  const [used, use] = useState(false);
  const button = (
    <UserButton aria-haspopup="menu" onPointerEnter={() => void load()} onClick={() => use(true)} />
  );
  if (!used) return button;
  return (
    <Suspense fallback={button}>
      <Opened />
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
