// SPDX-License-Identifier: AGPL-3.0-or-later

/** MassHelp is what there is to say about the page. */
export default function MassHelp() {
  return <p>…</p>;
}
