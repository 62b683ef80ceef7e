// SPDX-License-Identifier: AGPL-3.0-or-later

import { Page } from '../../components/layout';

export default function Home() {
  return <Page title="Home">To come.</Page>;
}
