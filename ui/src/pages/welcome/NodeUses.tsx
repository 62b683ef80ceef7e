// SPDX-License-Identifier: AGPL-3.0-or-later

import { Checkbox } from '@mantine/core';

import type { Node } from '../../api';
import { NodeName } from '../../components/controls';
import { fullName } from '../../servers/queries';
import { possible, type Use } from './open';
import c from './Welcome.module.css';

type NodeUsesProps = {
  nodes: Node[];
  uses: Record<string, Use>;
  onChange: (node: string, use: Use) => void;
};

/** NodeUses says of each server and folder whether studies are taken from there, and sent there. */
export function NodeUses({ nodes, uses, onChange }: NodeUsesProps) {
  if (nodes.length === 0) {
    return <p className="dim">There is no server yet. Add a PACS, or go on and do that later.</p>;
  }
  const box = (node: Node, of: keyof Use, name: string) => {
    const use = uses[node.name] ?? possible(node);
    return (
      <Checkbox
        aria-label={`${name} ${fullName(node)}`}
        checked={use[of]}
        disabled={!possible(node)[of]}
        onChange={(e) => onChange(node.name, { ...use, [of]: e.currentTarget.checked })}
      />
    );
  };
  return (
    <fieldset className={c.fieldset}>
      <legend>With these servers and folders</legend>
      <table className={c.nodes}>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Take studies from it</th>
            <th scope="col">Send studies to it</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <tr key={node.id}>
              <td>
                <NodeName name={node.name} kind={node.kind} />
              </td>
              <td>{box(node, 'source', 'Take studies from')}</td>
              <td>{box(node, 'destination', 'Send studies to')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </fieldset>
  );
}
