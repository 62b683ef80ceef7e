// SPDX-License-Identifier: AGPL-3.0-or-later

import { Page } from '../../components/layout';

export default function Profile() {
  return <Page title="Profile">To come.</Page>;
}
