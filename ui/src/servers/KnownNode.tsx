// SPDX-License-Identifier: AGPL-3.0-or-later

import { NodeName } from '../components/controls';
import { useNodes } from './queries';

/** KnownNode is a DICOM node by its name, and what it is, if one may use it: others may be known from a job alone. */
export function KnownNode({ name }: { name: string }) {
  const { data } = useNodes();
  const node = data?.find((n) => n.name === name);
  return node ? <NodeName name={name} kind={node.kind} full /> : <>{name}</>;
}
