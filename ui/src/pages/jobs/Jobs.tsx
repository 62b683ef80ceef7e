// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import {
  IconArrowDown,
  IconArrowUp,
  IconFilterOff,
  IconListDetails,
  IconPlus,
  IconRepeat,
} from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { Fragment, type ReactNode, useMemo } from 'react';

import type { Job } from '../../api';
import { Empty, Page, Section } from '../../components/layout';
import { LinkButton } from '../../components/LinkButton';
import { useRowHeight, useWindowRows } from '../../components/rows';
import { Failed, Loading } from '../../components/states';
import { type Status, statuses } from '../../components/status';
import ui from '../../components/ui.module.css';
import { count, counted } from '../../format/numbers';
import { useBeside } from '../../jobs/feed';
import { freshWords, missingIn } from '../../jobs/fresh';
import { useJobCounts, useJobs } from '../../jobs/queries';
import { useRecurrences } from '../../recurring/queries';
import type { JobsSearch } from '../../router';
import { useNodes } from '../../servers/queries';
import { can, useMe } from '../../session/me';
import { Filters } from './Filters';
import {
  cleared,
  counting,
  filterOf,
  narrowings,
  type SortedBy,
  sortedAnew,
  sortOf,
  statusesOf,
} from './filters';
import { JobCard, JobRow, type Kinds } from './JobRow';
import c from './Jobs.module.css';

const route = getRouteApi('/inside/shell/jobs');

export default function Jobs() {
  const me = useMe();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (to: JobsSearch) => void navigate({ search: to, replace: true });
  const filter = filterOf(search, me.is_staff);
  const list = useJobs(filter);
  const counts = useJobCounts(counting(filter)).data;
  const jobs = list.data?.pages.flatMap((p) => p.items) ?? [];
  const all = search.all && me.is_staff;
  const chosen = statusesOf(search);
  const matching = counts && sum(chosen.length > 0 ? chosen : statuses, counts);
  const filtered = chosen.length > 0 || narrowings(search).length > 0;

  return (
    <Page
      title="Jobs"
      actions={
        <>
          <WhatRunsAgain />
          {can(me, 'selective_transfer') && <NewJob />}
        </>
      }
    >
      <Filters search={search} change={change} staff={me.is_staff} counts={counts} />
      <Section
        title={<span className="num">{matching === undefined ? 'Jobs' : counted(matching, 'job')}</span>}
        right={<span className={`small dim ${c.hint}`}>{orderWords[sortOf(search)]}</span>}
        flush
      >
        {list.isError && <Failed error={list.error} retry={() => void list.refetch()} />}
        {list.isPending && <Loading rows={8} label="Loading jobs" />}
        {list.isSuccess && (
          <>
            <Fresh jobs={jobs} more={list.hasNextPage} filter={filter} />
            {jobs.length > 0 && (
              <div className={list.isPlaceholderData ? ui.stale : undefined}>
                <List jobs={jobs} owned={all ?? false} search={search} change={change} />
              </div>
            )}
            {jobs.length === 0 && filtered && <NoMatch clear={() => change(cleared(search))} />}
            {jobs.length === 0 && !filtered && <NoJob may={can(me, 'selective_transfer')} />}
          </>
        )}
      </Section>
      {list.hasNextPage && (
        <div className={c.more}>
          <Button
            variant="default"
            size="compact-sm"
            loading={list.isFetchingNextPage}
            onClick={() => void list.fetchNextPage()}
          >
            {sortOf(search) === '-id' ? 'Load older jobs' : 'Load more jobs'}
          </Button>
        </div>
      )}
    </Page>
  );
}

const orderWords = { '-id': 'newest first', id: 'oldest first', status: 'by status', '-status': 'by status' };

function sum(of: Status[], counts: Record<Status, number>): number {
  return of.reduce((n, s) => n + counts[s], 0);
}

/** WhatRunsAgain leads to the recurrences. */
function WhatRunsAgain() {
  const { data } = useRecurrences();
  return (
    <LinkButton to="/jobs/recurring" variant="default" leftSection={<IconRepeat size={16} aria-hidden />}>
      Recurring{data && data.length > 0 && ` (${count(data.length)})`}
    </LinkButton>
  );
}

function NewJob() {
  return (
    <LinkButton to="/selective-transfer" leftSection={<IconPlus size={16} aria-hidden />}>
      New transfer
    </LinkButton>
  );
}

type FreshProps = { jobs: Job[]; more: boolean; filter: ReturnType<typeof filterOf> };

/** Fresh tells of jobs that the list would hold if it were loaded now. Until one wants that, no row moves. */
function Fresh({ jobs, more, filter }: FreshProps) {
  const me = useMe();
  const [beside, show] = useBeside();
  const shown = { jobs, more };
  const missing = missingIn(shown, beside, filter, me.username);
  return (
    <div role="status">
      {missing.length > 0 && (
        <div className={c.fresh}>
          <Button variant="subtle" size="compact-sm" onClick={show}>
            {freshWords(shown, missing)}, show
          </Button>
        </div>
      )}
    </div>
  );
}

type ListProps = { jobs: Job[]; owned: boolean; search: JobsSearch; change: (to: JobsSearch) => void };

function List({ jobs, owned, search, change }: ListProps) {
  const narrow = useMediaQuery('(max-width: 1080px)', undefined, { getInitialValueInEffect: false });
  const { data } = useNodes();
  const nodes: Kinds = useMemo(() => new Map((data ?? []).map((n) => [n.name, n.kind])), [data]);
  if (narrow) return <Cards jobs={jobs} owned={owned} nodes={nodes} />;
  const sorted = (by: SortedBy, children: ReactNode, className?: string) => (
    <Sorted by={by} search={search} change={change} className={className}>
      {children}
    </Sorted>
  );
  return (
    <Rows jobs={jobs} owned={owned} nodes={nodes}>
      <thead>
        <tr>
          {sorted('id', 'Job', c.jobCol)}
          {sorted('status', 'Status', c.statusCol)}
          <th className={c.progressCol}>Progress</th>
          <th className={c.nodesCol}>From and to</th>
          <th>What happens</th>
          <th className={c.createdCol}>Created</th>
          <th className={c.menuCol}>
            <span className="vh">Actions</span>
          </th>
        </tr>
      </thead>
    </Rows>
  );
}

type DrawnProps = { jobs: Job[]; owned: boolean; nodes: Kinds };

/** Rows are the jobs as a table, below its head. */
function Rows({ jobs, children, ...rest }: DrawnProps & { children: ReactNode }) {
  const height = useRowHeight();
  const keyOf = (i: number) => jobs[i]?.id ?? i;
  const { list, places, after, measure } = useWindowRows<HTMLTableElement>({
    count: jobs.length,
    height: () => height,
    keyOf,
  });
  return (
    <table ref={list} className={`${ui.table} ${c.table}`} aria-rowcount={jobs.length + 1}>
      {children}
      {places.map(({ index, gap }) => {
        const job = jobs[index];
        return (
          job && (
            <Fragment key={job.id}>
              <Gap height={gap} />
              <JobRow job={job} index={index} measure={measure} {...rest} />
            </Fragment>
          )
        );
      })}
      <Gap height={after} />
    </table>
  );
}

/** Gap stands for rows that are not in sight. */
function Gap({ height }: { height: number }) {
  if (height <= 0) return null;
  return (
    <tbody aria-hidden className={c.gap}>
      <tr>
        <td style={{ height }} />
      </tr>
    </tbody>
  );
}

const cardHeight = 128; // pixels, until it is drawn

/** Cards are the jobs where there is no room for a table. */
function Cards({ jobs, ...rest }: DrawnProps) {
  const keyOf = (i: number) => jobs[i]?.id ?? i;
  const height = () => cardHeight;
  const { list, places, after, measure } = useWindowRows<HTMLUListElement>({
    count: jobs.length,
    height,
    keyOf,
  });
  return (
    <ul className={c.cards} ref={list}>
      {places.map(({ index, gap }) => {
        const job = jobs[index];
        return (
          job && (
            <Fragment key={job.id}>
              {gap > 0 && <li aria-hidden style={{ height: gap }} />}
              <JobCard job={job} index={index} measure={measure} {...rest} />
            </Fragment>
          )
        );
      })}
      {after > 0 && <li aria-hidden style={{ height: after }} />}
    </ul>
  );
}

type SortedProps = {
  by: SortedBy;
  search: JobsSearch;
  change: (to: JobsSearch) => void;
  className?: string;
  children: ReactNode;
};

/** Sorted is the head of a column that the list can be sorted by. */
function Sorted({ by, search, change, className, children }: SortedProps) {
  const sort = sortOf(search);
  const up = sort === by;
  const down = sort === `-${by}`;
  const Arrow = up ? IconArrowUp : IconArrowDown;
  return (
    <th className={className} aria-sort={up ? 'ascending' : down ? 'descending' : 'none'}>
      <button type="button" className={ui.sort} onClick={() => change(sortedAnew(search, by))}>
        {children}
        {(up || down) && <Arrow size={13} aria-hidden />}
      </button>
    </th>
  );
}

function NoMatch({ clear }: { clear: () => void }) {
  return (
    <Empty
      icon={<IconFilterOff size={34} stroke={1.4} aria-hidden />}
      title="No job matches"
      actions={
        <Button variant="default" onClick={clear}>
          Clear filters
        </Button>
      }
    >
      Remove a filter to see more jobs.
    </Empty>
  );
}

function NoJob({ may }: { may: boolean }) {
  return (
    <Empty
      icon={<IconListDetails size={34} stroke={1.4} aria-hidden />}
      title="No job yet"
      actions={may && <LinkButton to="/selective-transfer">Start a selective transfer</LinkButton>}
    >
      {may
        ? 'What you transfer is listed here, with how far it is.'
        : 'Your groups have no right to transfer anything. Ask an administrator.'}
    </Empty>
  );
}
