// SPDX-License-Identifier: AGPL-3.0-or-later

import { Page } from '../../components/layout';

export default function Jobs() {
  return <Page title="Jobs">To come.</Page>;
}
