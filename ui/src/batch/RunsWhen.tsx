// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Node } from '../api';
import { Hint } from '../components/states';
import { goneSays, whenItRuns } from '../servers/outlook';
import { useServersNow } from '../servers/queries';

export type RunsWhenProps = {
  source?: Node;
  destination?: Node;
  /** Their names, as they were chosen last: who has such a name may be there no more. */
  named: { source?: string; destination?: string };
  /** It is not to run now. */
  later?: boolean;
};

/** RunsWhen says when a transfer between two will run, or that they are not there any more. */
export default function RunsWhen({ source, destination, named, later }: RunsWhenProps) {
  const { data: now } = useServersNow();
  const of = (node?: Node) => (node?.kind === 'server' ? now?.find((s) => s.name === node.name) : undefined);
  const gone = goneSays(source ? '' : named.source, destination ? '' : named.destination);
  if (gone) return <Hint says={gone} waits />;
  if (later) return null;
  const from = of(source);
  const outlook = from && source?.name !== destination?.name ? whenItRuns(from, of(destination)) : undefined;
  return outlook && <Hint says={outlook.says} waits={outlook.waits} />;
}
