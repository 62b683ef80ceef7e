// SPDX-License-Identifier: AGPL-3.0-or-later

import { Page } from '../../components/layout';

export default function Welcome() {
  return <Page title="Welcome">To come.</Page>;
}
