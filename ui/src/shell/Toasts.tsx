// SPDX-License-Identifier: AGPL-3.0-or-later

import '@mantine/core/styles/Notification.css';
import '@mantine/notifications/styles.css';

import { Notifications, useNotifications } from '@mantine/notifications';

import c from './Toasts.module.css';

/** footHeight is the height of what stands at the lower edge of the window, with buttons that no toast may cover. */
function footHeight(): number {
  const foot = document.querySelector('[data-foot]')?.getBoundingClientRect();
  const besides = !foot || foot.top < innerHeight / 3; // it is a column
  return besides ? 0 : Math.max(0, innerHeight - foot.top);
}

/** Toasts shows news of what is not visible on the page. */
export default function Toasts() {
  useNotifications(); // where they are is found out with each of them
  return (
    <Notifications
      position="bottom-right"
      limit={3}
      autoClose={5000}
      withinPortal={false}
      role="status"
      className={c.toasts}
      style={{ '--foot': `${footHeight()}px` }}
    />
  );
}
