// SPDX-License-Identifier: AGPL-3.0-or-later

import { Select } from '@mantine/core';
import { IconArrowNarrowRight } from '@tabler/icons-react';

import type { Node } from '../../api';
import { Hint } from '../../components/states';
import { whenItRuns } from '../../servers/outlook';
import { fullName, useServersNow } from '../../servers/queries';
import c from './Selective.module.css';

type EndsProps = {
  sources: Node[];
  destinations: Node[];
  source?: Node;
  destination?: Node;
  /** What is to be said of one that was chosen last and is gone. */
  gone: string;
  choose: (end: 'source' | 'destination', name: string) => void;
};

/** Ends chooses where studies come from and go to, and says when a transfer between the two will run. */
export function Ends({ sources, destinations, source, destination, gone, choose }: EndsProps) {
  const groups = [
    { group: 'Servers', items: destinations.filter((n) => n.kind === 'server').map(option) },
    { group: 'Folders', items: destinations.filter((n) => n.kind === 'folder').map(option) },
  ];
  return (
    <div className={c.ends}>
      <Select
        label="Source"
        placeholder="Choose a server"
        searchable={sources.length > 10}
        data={sources.map(option)}
        value={source?.name ?? null}
        onChange={(name) => name && choose('source', name)}
        nothingFoundMessage="You may not read from any server. Ask an administrator."
      />
      <span className={c.arrow} aria-hidden>
        <IconArrowNarrowRight size={20} />
      </span>
      <Select
        label="Destination"
        placeholder="Choose a server or folder"
        searchable={destinations.length > 10}
        data={groups.filter((g) => g.items.length > 0)}
        value={destination?.name ?? null}
        onChange={(name) => name && choose('destination', name)}
        nothingFoundMessage="You may not send to any server or folder. Ask an administrator."
      />
      <When {...{ sources, destinations, source, destination, gone }} />
    </div>
  );
}

const option = (node: Node) => ({ value: node.name, label: fullName(node) });

/** When is the sentence beside the two. */
function When({ source, destination, sources, destinations, gone }: Omit<EndsProps, 'choose'>) {
  const { data: now } = useServersNow();
  const of = (node?: Node) => (node?.kind === 'server' ? now?.find((s) => s.name === node.name) : undefined);
  const from = of(source);
  if (sources.length === 0) return <Hint says="Your groups may read from no server. Ask an administrator." />;
  if (destinations.length === 0) {
    return <Hint says="Your groups may send to no server and no folder. Ask an administrator." />;
  }
  if (gone) return <Hint says={gone} waits />;
  if (source && source.name === destination?.name) {
    return <Hint says="Source and destination are the same. Choose another one." />;
  }
  if (!from) return <span />;
  const { says, waits } = whenItRuns(from, of(destination));
  return <Hint says={says} waits={waits} />;
}
