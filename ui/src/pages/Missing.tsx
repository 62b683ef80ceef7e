// SPDX-License-Identifier: AGPL-3.0-or-later

import { Nowhere } from '../components/Nowhere';

/** Missing is what is at an address at which nothing is. */
export default function Missing() {
  return (
    <Nowhere title="No such page" to="/">
      Check the address, or look for it in the list of jobs.
    </Nowhere>
  );
}
