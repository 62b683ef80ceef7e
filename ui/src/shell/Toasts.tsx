// SPDX-License-Identifier: AGPL-3.0-or-later

import '@mantine/core/styles/Notification.css';
import '@mantine/notifications/styles.css';

import { Notifications } from '@mantine/notifications';

/** Toasts shows news of what is not visible on the page. */
export default function Toasts() {
  return (
    <Notifications position="bottom-right" limit={3} autoClose={5000} withinPortal={false} role="status" />
  );
}
