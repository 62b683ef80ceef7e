// SPDX-License-Identifier: AGPL-3.0-or-later

import { Page } from '../../components/layout';

export default function Report() {
  return <Page title="Report">To come.</Page>;
}
