// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMe, usePreferences } from '../session/me';
import type { AboutForm } from './kept';

/** useMail tells whether there will be a mail: by choice, else as one's preferences say. */
export function useMail(form: AboutForm): boolean {
  const me = useMe();
  const [preferences] = usePreferences();
  return Boolean(me.mail) && (form.mail ?? preferences.mail_when_finished ?? false);
}
