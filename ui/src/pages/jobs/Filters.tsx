// SPDX-License-Identifier: AGPL-3.0-or-later

import '@mantine/core/styles/FloatingIndicator.css';
import '@mantine/core/styles/SegmentedControl.css';

import { Button, Popover, SegmentedControl, TextInput } from '@mantine/core';
import { IconAdjustmentsHorizontal, IconSearch, IconX } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, type SyntheticEvent, useState } from 'react';

import type { JobCounts } from '../../api';
import { Loading } from '../../components/states';
import { statuses, statusWords } from '../../components/status';
import { count } from '../../format/numbers';
import type { JobsSearch } from '../../router';
import { narrowings, numberOf, statusesOf, toggled } from './filters';
import c from './Jobs.module.css';

const NarrowForm = lazy(() => import('./NarrowForm'));

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
            <span className="vh">, remove this filter</span>
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

/** Narrow opens the form; what is chosen in it stands beside the statuses. */
function Narrow({ search, change }: NarrowProps) {
  return (
    <Popover position="bottom-end" width={280} trapFocus returnFocus>
      <Popover.Target>
        <Button variant="default" leftSection={<IconAdjustmentsHorizontal size={15} aria-hidden />}>
          Filter
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Filter">
        <Suspense fallback={<Loading rows={3} label="Loading filters" />}>
          <NarrowForm search={search} change={change} />
        </Suspense>
      </Popover.Dropdown>
    </Popover>
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
