// SPDX-License-Identifier: AGPL-3.0-or-later

import { Page } from '../../components/layout';

export default function JobPage() {
  return <Page title="JobPage">To come.</Page>;
}
