// SPDX-License-Identifier: AGPL-3.0-or-later

import { Select } from '@mantine/core';

import { kindWords } from '../../components/jobs';
import { useProjects } from '../../jobs/projects';
import type { JobsSearch } from '../../router';
import { useNodes } from '../../servers/queries';
import { kinds } from './filters';

const inPlace = { withinPortal: false };

type NarrowFormProps = { search: JobsSearch; change: (to: JobsSearch) => void };

/** NarrowForm chooses jobs by more than their status. It is loaded, with nodes and projects, when it is opened. */
export default function NarrowForm({ search, change }: NarrowFormProps) {
  const nodes = useNodes().data ?? [];
  const projects = useProjects().data ?? [];
  const field = (by: 'kind' | 'source' | 'destination' | 'project', label: string, any: string) => ({
    label,
    placeholder: any,
    value: search[by] ?? null,
    onChange: (value: string | null) => change({ ...search, [by]: value ?? undefined }),
    clearable: true,
    clearButtonProps: { 'aria-label': `Clear ${label.toLowerCase()}` },
    comboboxProps: inPlace,
    openOnFocus: false,
  });
  // What is chosen stays to be chosen, even if one may not use it any more.
  const names = (all: string[], chosen: string | undefined) => [...new Set(chosen ? [...all, chosen] : all)];
  return (
    <div className="stack">
      <Select
        {...field('kind', 'Kind', 'All kinds')}
        data={kinds.map((value) => ({ value, label: kindWords(value) }))}
      />
      <Select
        {...field('source', 'Source', 'Any')}
        data={names(
          nodes.filter((n) => n.kind === 'server').map((n) => n.name),
          search.source,
        )}
        searchable
      />
      <Select
        {...field('destination', 'Destination', 'Any')}
        data={names(
          nodes.map((n) => n.name),
          search.destination,
        )}
        searchable
      />
      <Select
        {...field('project', 'Project', 'Any')}
        data={names(
          projects.map((p) => p.name),
          search.project,
        )}
        searchable
      />
    </div>
  );
}
