// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconDownload, IconFilterOff, IconListSearch, IconSearch, IconZoomCheck } from '@tabler/icons-react';
import { useCallback, useDeferredValue, useMemo, useState } from 'react';

import type { Job } from '../../api';
import { Empty, Section } from '../../components/layout';
import { useRowHeight } from '../../components/rows';
import { Failed, Loading } from '../../components/states';
import { final, StatusBadge, statusWords } from '../../components/status';
import { VirtualRows } from '../../components/VirtualRows';
import { date, time } from '../../format/dicom';
import { count } from '../../format/numbers';
import { daysWords } from '../../mass/calendar';
import { useVolumes, type VolumeStatus } from '../../mass/queries';
import type { MassPartition, MassTransfer, MassVolume } from '../../api';
import { chosenBy } from '../../mass/volumes';
import c from './Found.module.css';

type VolumesProps = {
  job: Job;
  mass: MassTransfer;
  /** The days whose series are shown; absent: all. */
  partition: MassPartition | undefined;
  showAll: () => void;
};

const statuses: VolumeStatus[] = [
  'pending',
  'in_progress',
  'success',
  'warning',
  'failure',
  'left_out',
  'canceled',
];

const words = (status: VolumeStatus) =>
  status === 'found' ? 'Found' : status === 'left_out' ? 'Left out' : statusWords[status];

/** Volumes are the series that a mass transfer has found, with what became of each. */
export function Volumes({ job, mass, partition, showAll }: VolumesProps) {
  const [text, setText] = useState('');
  const [status, setStatus] = useState<VolumeStatus>();
  const wanted = useDeferredValue(text);
  const { data, error, refetch, isFetching, hasNextPage, isFetchingNextPage, fetchNextPage } = useVolumes(
    job.id,
    status,
    partition?.task_id,
  );
  const items = useMemo(() => data?.pages.flatMap((p) => p.items) ?? [], [data]);
  const shown = useMemo(() => items.filter(chosenBy(wanted)), [items, wanted]);
  const all = status === undefined ? (partition ?? mass.found).series : undefined;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetchingNextPage]);
  const narrowed = text !== '' || status !== undefined || partition !== undefined;
  return (
    <Section
      flush
      title={
        <span className="num">
          {count(partition?.series ?? mass.found.series)} series
          {partition && ` · ${daysWords(partition)}`}
        </span>
      }
      right={mass.found.series > 0 && <Downloads id={job.id} />}
    >
      <div className={c.series}>
        {(mass.found.series > 0 || narrowed) && (
          <div className={c.filters}>
            <TextInput
              className={c.text}
              aria-label="Filter series by text"
              placeholder="Description, patient, institution…"
              data-search
              autoComplete="off"
              leftSection={<IconSearch size={14} aria-hidden />}
              value={text}
              onChange={(e) => setText(e.currentTarget.value)}
            />
            {!mass.dry_run && (
              <NativeSelect
                aria-label="Status"
                data={[
                  { value: '', label: 'Any status' },
                  ...statuses.map((value) => ({ value, label: words(value) })),
                ]}
                value={status ?? ''}
                onChange={(e) => setStatus(statuses.find((s) => s === e.currentTarget.value))}
              />
            )}
            {partition && (
              <Button variant="subtle" size="compact-sm" onClick={showAll}>
                Show all {mass.partitions === 'weekly' ? 'weeks' : 'days'}
              </Button>
            )}
            <span className="grow" />
            <span className="small dim num" role="status">
              {wanted && `${count(shown.length)} of ${count(items.length)}`}
              {wanted && hasNextPage && ' looked at so far'}
            </span>
          </div>
        )}
        {error && (
          <div className={c.pad}>
            <Failed error={error} retry={() => void refetch()} />
          </div>
        )}
        {shown.length === 0 && isFetching && <Loading rows={4} label="Loading series" />}
        {shown.length === 0 && !isFetching && !error && <Nothing job={job} narrowed={narrowed} />}
        {(shown.length > 0 || hasNextPage) && (
          <Table volumes={shown} all={wanted ? undefined : all} more={more} />
        )}
      </div>
    </Section>
  );
}

function Nothing({ job, narrowed }: { job: Job; narrowed: boolean }) {
  const says = final(job.status)
    ? 'Nothing of these days fits the filters.'
    : 'What the source has shows here as soon as it answers.';
  return (
    <Empty
      icon={<IconListSearch size={30} stroke={1.4} aria-hidden />}
      title={narrowed ? 'No series is like this' : 'Nothing found'}
    >
      {narrowed ? 'Choose less narrowly to see more.' : says}
    </Empty>
  );
}

function Downloads({ id }: { id: number }) {
  return (
    <span className="row wrap">
      {['xlsx', 'csv'].map((format) => (
        <Button
          key={format}
          component="a"
          href={`/api/v1/jobs/${id}/volumes:export?format=${format}`}
          download
          variant="default"
          size="compact-sm"
          leftSection={<IconDownload size={15} aria-hidden />}
        >
          Download .{format}
        </Button>
      ))}
    </span>
  );
}

type TableProps = { volumes: MassVolume[]; all?: number; more: () => void };

function Table({ volumes, all, more }: TableProps) {
  const narrow = useMediaQuery('(max-width: 640px)', false, { getInitialValueInEffect: false });
  const wide = useRowHeight();
  return (
    <VirtualRows
      label="Series"
      className={c.volume}
      count={volumes.length}
      all={all}
      height={narrow ? 90 : wide}
      keyOf={(i) => volumes[i]?.id ?? i}
      onEnd={more}
      head={
        <>
          <span role="columnheader">Status</span>
          <span role="columnheader">Patient ID</span>
          <span role="columnheader">Study Date</span>
          <span role="columnheader">Modality</span>
          <span role="columnheader">Study</span>
          <span role="columnheader">Series</span>
          <span role="columnheader" className={c.institution}>
            Institution
          </span>
          <span role="columnheader" className={c.right}>
            Images
          </span>
        </>
      }
      row={(i) => {
        const volume = volumes[i];
        return volume && <Volume volume={volume} />;
      }}
    />
  );
}

function Volume({ volume: v }: { volume: MassVolume }) {
  const series = [v.series_number, v.series_description]
    .filter((x) => x !== undefined && x !== '')
    .join(' · ');
  const none = <span className="dim">no description</span>;
  return (
    <>
      <span role="cell">
        {v.status === 'found' || v.status === 'left_out' ? (
          <span className={c.quiet}>
            {v.status === 'found' ? (
              <IconZoomCheck size={15} aria-hidden />
            ) : (
              <IconFilterOff size={15} aria-hidden />
            )}
            {words(v.status)}
          </span>
        ) : (
          <StatusBadge status={v.status} />
        )}
      </span>
      <span role="cell" className="num">
        <bdi>{v.patient_id}</bdi>
      </span>
      <span role="cell" className="num">
        {date(v.study_date)} <span className="dim">{v.study_time && time(v.study_time)}</span>
      </span>
      <span role="cell" className={c.modality}>
        {v.modality}
      </span>
      <span role="cell" className={c.description} title={v.study_description}>
        {v.study_description ? <bdi>{v.study_description}</bdi> : none}
      </span>
      <span role="cell" className={c.description} title={series}>
        {series ? <bdi>{series}</bdi> : none}
      </span>
      <span role="cell" className={c.institution} title={v.institution_name}>
        <bdi>{v.institution_name}</bdi>
      </span>
      <span role="cell" className={c.right}>
        {v.status !== 'found' && v.delivered > 0 && `${count(v.delivered)} of `}
        {v.instances === undefined ? <span className="dim">?</span> : count(v.instances)}
        <span className={c.noun}> images</span>
      </span>
    </>
  );
}
