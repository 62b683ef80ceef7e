// SPDX-License-Identifier: AGPL-3.0-or-later

import { Hint } from '../../components/states';
import { goneSays, whenItAsks } from '../../servers/outlook';
import { useServersNow } from '../../servers/queries';

type AsksWhenProps = {
  /** Those that are asked as soon as they can be. */
  sources: string[];
  /** Those that were chosen last, and are not there any more. */
  gone: string[];
};

/** AsksWhen says when servers will be asked, or that one is not there any more. */
export default function AsksWhen({ sources, gone }: AsksWhenProps) {
  const { data: now = [] } = useServersNow();
  const outlook = whenItAsks(now.filter((s) => sources.includes(s.name)));
  return (
    <>
      {gone.length > 0 && <Hint says={goneSays(gone[0])} waits />}
      {outlook && <Hint says={outlook.says} waits={outlook.waits} />}
    </>
  );
}
