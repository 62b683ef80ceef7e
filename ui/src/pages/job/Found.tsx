// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMediaQuery } from '@mantine/hooks';
import { useState } from 'react';

import type { Job } from '../../api';
import { Choice } from '../../components/Choice';
import { Section } from '../../components/layout';
import { useRowHeight } from '../../components/rows';
import { StatusBadge } from '../../components/status';
import { VirtualRows } from '../../components/VirtualRows';
import { count, counted } from '../../format/numbers';
import { sentence } from '../../jobs/words';
import { daysWords, type Shade, shades } from '../../mass/calendar';
import type { MassPartition, MassTransfer } from '../../api';
import { partsWord } from '../../mass/words';
import { Chart } from './Chart';
import c from './Found.module.css';
import { Volumes } from './Volumes';

type FoundProps = {
  job: Job;
  mass: MassTransfer;
  partitions: MassPartition[];
  /** The task of the partition whose series are shown. */
  chosen: number | undefined;
  choose: (partition: number | undefined) => void;
};

const mostInChart = 11_000; // partitions: 30 years of days

/** Found is what a mass transfer has found, over time and series by series. */
export default function Found({ job, mass, partitions, chosen, choose }: FoundProps) {
  const [shade, setShade] = useState<Shade>('studies');
  const [tabled, setTable] = useState(false);
  const table = tabled || partitions.length > mostInChart;
  const toggle = (partition: number) => choose(partition === chosen ? undefined : partition);
  const word = partsWord(mass);
  return (
    <>
      <Section
        title={`${word}, and what they have`}
        flush={table || undefined}
        right={
          <>
            {!table && (
              <Choice small label="Shown by colour" data={shades} value={shade} onChange={setShade} />
            )}
            <Choice
              small
              label="Shown as"
              data={[
                { value: 'chart', label: 'Chart', disabled: partitions.length > mostInChart },
                { value: 'table', label: 'Table' },
              ]}
              value={table ? 'table' : 'chart'}
              onChange={(value) => setTable(value === 'table')}
            />
          </>
        }
      >
        {table ? (
          <PartitionTable partitions={partitions} word={word} chosen={chosen} choose={toggle} />
        ) : (
          <Chart
            partitions={partitions}
            weekly={mass.partitions === 'weekly'}
            shade={shade}
            chosen={chosen}
            choose={toggle}
          />
        )}
      </Section>
      <Volumes
        job={job}
        mass={mass}
        partition={partitions.find((p) => p.task_id === chosen)}
        showAll={() => choose(undefined)}
      />
    </>
  );
}

type PartitionTableProps = {
  partitions: MassPartition[];
  word: string;
  chosen: number | undefined;
  choose: (partition: number) => void;
};

/** PartitionTable says in numbers what the chart shows. */
function PartitionTable({ partitions, word, chosen, choose }: PartitionTableProps) {
  const narrow = useMediaQuery('(max-width: 640px)', false, { getInitialValueInEffect: false });
  const wide = useRowHeight();
  return (
    <VirtualRows
      label={`${word}, and what they have`}
      className={c.partition}
      count={partitions.length}
      all={partitions.length}
      height={narrow ? 66 : wide}
      keyOf={(i) => partitions[i]?.task_id ?? i}
      head={
        <>
          <span role="columnheader">{word}</span>
          <span role="columnheader">Status</span>
          <span role="columnheader" className={c.right}>
            Studies
          </span>
          <span role="columnheader" className={c.right}>
            Series
          </span>
          <span role="columnheader" className={c.right}>
            Images
          </span>
          <span role="columnheader">What happened</span>
        </>
      }
      row={(i) => {
        const p = partitions[i];
        return p && <Partition partition={p} chosen={p.task_id === chosen} choose={choose} />;
      }}
    />
  );
}

type PartitionProps = Pick<PartitionTableProps, 'choose'> & { partition: MassPartition; chosen: boolean };

function Partition({ partition: p, chosen, choose }: PartitionProps) {
  return (
    <>
      <span role="cell" className="num">
        <button
          type="button"
          className={c.days}
          aria-pressed={chosen}
          title="Only the series of these days"
          onClick={() => choose(p.task_id)}
        >
          {daysWords(p)}
        </button>
      </span>
      <span role="cell">
        <StatusBadge status={p.status} />
      </span>
      <Number value={p.studies} noun={['study', 'studies']} />
      <Number value={p.series} noun={['series', 'series']} />
      <Number value={p.instances} noun={['image', 'images']} />
      <span role="cell" className={c.says} title={p.message}>
        {p.message && sentence(p.message)}
      </span>
    </>
  );
}

function Number({ value, noun: [one, many] }: { value: number; noun: [string, string] }) {
  return (
    <span role="cell" className={c.right}>
      {value === 0 ? <span className="dim">0</span> : count(value)}
      <span className={c.noun}> {counted(value, one, many).replace(/^\S+ /, '')}</span>
    </span>
  );
}
