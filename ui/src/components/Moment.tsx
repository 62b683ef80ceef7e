// SPDX-License-Identifier: AGPL-3.0-or-later

import { exact, when } from '../format/times';

/** Moment is an instant as people say it, with its seconds where one points at it. */
export function Moment({ at }: { at: string }) {
  const t = new Date(at);
  return (
    <time className="num" dateTime={at} title={exact(t)}>
      {when(t)}
    </time>
  );
}
