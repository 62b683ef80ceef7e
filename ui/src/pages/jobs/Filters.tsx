// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Popover, SegmentedControl, Select, TextInput } from '@mantine/core';
import { IconAdjustmentsHorizontal, IconSearch, IconX } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { type SyntheticEvent, useState } from 'react';

import type { JobCounts } from '../../api';
import { kindWords } from '../../components/jobs';
import { statuses, statusWords } from '../../components/status';
import { count } from '../../format/numbers';
import { useProjects } from '../../jobs/projects';
import type { JobsSearch } from '../../router';
import { useNodes } from '../../servers/queries';
import { kinds, narrowings, numberOf, statusesOf, toggled } from './filters';
import c from './Jobs.module.css';

type FiltersProps = {
  search: JobsSearch;
  change: (to: JobsSearch) => void;
  staff: boolean;
  counts?: JobCounts;
};

/** Filters chooses jobs. All that is chosen is in the address. */
export function Filters({ search, change, staff, counts }: FiltersProps) {
  return (
    <>
      <div className={c.filters}>
        {staff && (
          <SegmentedControl
            value={search.all ? 'all' : 'mine'}
            onChange={(whose) => change({ ...search, all: whose === 'all' ? true : undefined })}
            data={[
              { value: 'mine', label: 'Mine' },
              { value: 'all', label: 'Everybody’s' },
            ]}
            aria-label="Whose jobs"
          />
        )}
        <div className="grow" />
        <Narrow search={search} change={change} />
        <GoToJob />
      </div>
      <div className={c.chips} role="group" aria-label="Filters">
        <StatusChips search={search} change={change} counts={counts} />
        {narrowings(search).map(({ by, words }) => (
          <button
            key={by}
            type="button"
            className={c.chip}
            data-narrows
            onClick={() => change({ ...search, [by]: undefined })}
          >
            {words}
            <IconX size={13} aria-hidden />
            <span className="vh">, take this filter away</span>
          </button>
        ))}
      </div>
    </>
  );
}

type ChipsProps = Omit<FiltersProps, 'staff'>;

/** StatusChips are the statuses that there are jobs of, each with their number. */
function StatusChips({ search, change, counts }: ChipsProps) {
  const chosen = statusesOf(search);
  const shown = statuses.filter((s) => chosen.includes(s) || (counts && counts[s] > 0));
  return shown.map((s) => (
    <button
      key={s}
      type="button"
      className={c.chip}
      aria-pressed={chosen.includes(s)}
      onClick={() => change(toggled(search, s))}
    >
      {statusWords[s]}
      {counts && <span className="num">{count(counts[s])}</span>}
    </button>
  ));
}

type NarrowProps = Pick<FiltersProps, 'search' | 'change'>;

function Narrow({ search, change }: NarrowProps) {
  return (
    <Popover position="bottom-end" width={280} trapFocus returnFocus>
      <Popover.Target>
        <Button variant="default" leftSection={<IconAdjustmentsHorizontal size={15} aria-hidden />}>
          Filter
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Filter">
        <NarrowForm search={search} change={change} />
      </Popover.Dropdown>
    </Popover>
  );
}

const inPlace = { withinPortal: false };

/** NarrowForm is there only while it is open: until then nobody asks for nodes and projects. */
function NarrowForm({ search, change }: NarrowProps) {
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
  });
  // What is chosen stays to be chosen, even if one may not use it any more.
  const names = (all: string[], chosen: string | undefined) => [...new Set(chosen ? [...all, chosen] : all)];
  return (
    <div className="stack">
      {kinds.length > 1 && (
        <Select
          {...field('kind', 'Kind', 'All kinds')}
          data={kinds.map((value) => ({ value, label: kindWords(value) }))}
        />
      )}
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

/** GoToJob opens a job by its number. */
function GoToJob() {
  const go = useNavigate();
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState(false);
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    const id = numberOf(text);
    if (id) void go({ to: '/jobs/$id', params: { id } });
    else setWrong(text.trim() !== '');
  };
  return (
    <form onSubmit={submit} className={c.number} role="search">
      <TextInput
        aria-label="Go to a job by its number"
        placeholder="Job number"
        data-search
        inputMode="numeric"
        autoComplete="off"
        leftSection={<IconSearch size={14} aria-hidden />}
        value={text}
        error={wrong && 'A number, such as 1204.'}
        onChange={(e) => {
          setText(e.currentTarget.value);
          setWrong(false);
        }}
      />
    </form>
  );
}
