// SPDX-License-Identifier: AGPL-3.0-or-later

import { Page } from '../../components/layout';

export default function Selective() {
  return <Page title="Selective">To come.</Page>;
}
