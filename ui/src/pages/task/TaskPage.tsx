// SPDX-License-Identifier: AGPL-3.0-or-later

import { Page } from '../../components/layout';

export default function TaskPage() {
  return <Page title="TaskPage">To come.</Page>;
}
