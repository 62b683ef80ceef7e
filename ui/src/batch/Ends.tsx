// SPDX-License-Identifier: AGPL-3.0-or-later

import { Select } from '@mantine/core';
import { lazy, Suspense } from 'react';

import type { Node, Project } from '../api';
import { fullName } from '../servers/queries';
import c from './Batch.module.css';
import type { RunsWhenProps } from './RunsWhen';

const RunsWhen = lazy(() => import('./RunsWhen'));

/** missingOf says what has to be chosen before a transfer can begin; empty: nothing. */
export function missingOf(source?: Node, destination?: Node, project?: Project): string {
  if (!source) return 'Choose a source.';
  if (!destination) return 'Choose a destination.';
  if (source.name === destination.name) return 'Source and destination are the same. Choose another one.';
  return project ? '' : 'Choose a project.';
}

type EndsProps = {
  sources: Node[];
  destinations: Node[];
  source?: Node;
  destination?: Node;
  choose: (part: { source?: string; destination?: string }) => void;
};

const option = (node: Node) => ({ value: node.name, label: fullName(node) });

/** Ends chooses where studies come from and go to. */
export function Ends({ sources, destinations, source, destination, choose }: EndsProps) {
  const groups = [
    { group: 'Servers', items: destinations.filter((n) => n.kind === 'server').map(option) },
    { group: 'Folders', items: destinations.filter((n) => n.kind === 'folder').map(option) },
  ];
  return (
    <>
      <Select
        label="Source"
        placeholder="Choose a server"
        searchable={sources.length > 10}
        data={sources.map(option)}
        value={source?.name ?? null}
        onChange={(name) => name && choose({ source: name })}
        nothingFoundMessage="You may not read from any server. Ask an administrator."
      />
      <Select
        label="Destination"
        placeholder="Choose a server or folder"
        searchable={destinations.length > 10}
        data={groups.filter((g) => g.items.length > 0)}
        value={destination?.name ?? null}
        onChange={(name) => name && choose({ destination: name })}
        nothingFoundMessage="You may not send to any server or folder. Ask an administrator."
      />
    </>
  );
}

type WhenProps = RunsWhenProps & {
  /** It stands beside source and destination. */
  beside?: boolean;
};

/** When says when a transfer between the two will run. */
export function When({ beside, ...of }: WhenProps) {
  return (
    <div className={c.when} data-beside={beside}>
      <Suspense fallback={null}>
        <RunsWhen {...of} />
      </Suspense>
    </div>
  );
}
