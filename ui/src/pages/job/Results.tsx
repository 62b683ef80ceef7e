// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Checkbox, TextInput } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconDownload, IconListSearch, IconSearch, IconX } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useNavigate } from '@tanstack/react-router';
import { memo, type ReactNode, useCallback, useDeferredValue, useMemo, useRef, useState } from 'react';

import type { Job, QueryResult } from '../../api';
import { textToBase64 } from '../../batch/file';
import { putFile } from '../../batch/kept';
import { Empty, Section } from '../../components/layout';
import { useRowHeight } from '../../components/rows';
import { Failed, Loading } from '../../components/states';
import { final } from '../../components/status';
import { PatientName } from '../../components/studyParts';
import { date, time } from '../../format/dicom';
import { count, counted } from '../../format/numbers';
import type { useResults } from '../../jobs/results';
import { useMe } from '../../session/me';
import { putSelection } from '../selective/kept';
import { allowed } from '../selective/sentences';
import { fileOf, filtered, pickedSays, selectionOf, sourcesIn, wayOf } from './results';
import c from './Results.module.css';

type ResultsProps = {
  job: Job;
  found: ReturnType<typeof useResults>;
  /** Of the file: only what was found for it. */
  row: number | undefined;
  chooseRow: (row: number | undefined) => void;
};

/** Results are what a batch query has found: to be looked through, downloaded, and transferred. */
export default function Results({ job, found, row, chooseRow }: ResultsProps) {
  const [text, setText] = useState('');
  const [source, setSource] = useState<string>();
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());
  const { items, count: sum, loading } = found;
  const wanted = useDeferredValue(text);
  const sources = useMemo(() => sourcesIn(items), [items]);
  const shown = useMemo(() => filtered(items, { text: wanted, source, row }), [items, wanted, source, row]);
  const chosen = useMemo(() => items.filter((r) => picked.has(r.id)), [items, picked]);
  const pick = useCallback(
    (ids: number[], on: boolean) =>
      setPicked((was) => {
        const next = new Set(was);
        for (const id of ids) {
          if (on) next.add(id);
          else next.delete(id);
        }
        return next;
      }),
    [],
  );
  const narrowed = text !== '' || source !== undefined || row !== undefined;
  const all = sum?.results ?? items.length;
  return (
    <Section
      flush
      title={<span className="num">{all === 0 ? 'Results' : counted(all, 'result')}</span>}
      right={all > 0 && <Downloads id={job.id} />}
    >
      {found.error && (
        <div className={c.pad}>
          <Failed error={found.error} retry={found.retry} />
        </div>
      )}
      {items.length === 0 && loading && <Loading rows={4} label="Loading results" />}
      {items.length === 0 && !loading && !found.error && (
        <Empty icon={<IconListSearch size={30} stroke={1.4} aria-hidden />} title="Nothing found">
          {final(job.status)
            ? 'No row has found a study. Below is why, row by row.'
            : 'What the sources have shows here as soon as they answer.'}
        </Empty>
      )}
      {items.length > 0 && (
        <div className={c.results}>
          <div className={c.filters}>
            <TextInput
              className={c.text}
              aria-label="Filter results by text"
              placeholder="Patient, description, accession #…"
              data-search
              autoComplete="off"
              leftSection={<IconSearch size={14} aria-hidden />}
              value={text}
              onChange={(e) => setText(e.currentTarget.value)}
            />
            {sources.length > 1 && (
              <div className={c.chips} role="group" aria-label="Source">
                {sources.map(([name, n]) => (
                  <Chip
                    key={name}
                    pressed={source === name}
                    onClick={() => setSource(source === name ? undefined : name)}
                  >
                    {name} <span className="num dim">{count(n)}</span>
                  </Chip>
                ))}
              </div>
            )}
            {row !== undefined && (
              <Chip pressed onClick={() => chooseRow(undefined)}>
                Row {row} <IconX size={13} aria-hidden />
                <span className="vh">, show all rows</span>
              </Chip>
            )}
            <span className="grow" />
            <span className="small dim num" role="status">
              {narrowed && `${count(shown.length)} of ${count(items.length)}`}
              {loading && items.length < all && ` Loading, ${count(items.length)} so far`}
            </span>
          </div>
          <Table
            results={shown}
            several={sources.length > 1}
            series={sum?.of_series ?? false}
            pseudonyms={sum?.pseudonyms ?? false}
            picked={picked}
            pick={pick}
            chooseRow={chooseRow}
          />
          {chosen.length > 0 && <PickedBar picked={chosen} clear={() => setPicked(new Set())} />}
        </div>
      )}
    </Section>
  );
}

type ChipProps = { pressed: boolean; onClick: () => void; children: ReactNode };

function Chip({ pressed, onClick, children }: ChipProps) {
  return (
    <button type="button" className={c.chip} aria-pressed={pressed} onClick={onClick}>
      {children}
    </button>
  );
}

function Downloads({ id }: { id: number }) {
  const to = (format: string) => `/api/v1/jobs/${id}/results:export?all_sources=true&format=${format}`;
  return (
    <span className="row wrap">
      {['xlsx', 'csv'].map((format) => (
        <Button
          key={format}
          component="a"
          href={to(format)}
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

/** PickedBar says what is picked, and has it transferred. */
function PickedBar({ picked, clear }: { picked: QueryResult[]; clear: () => void }) {
  const me = useMe();
  const go = useNavigate();
  const way = wayOf(picked, me, allowed);
  const source = picked[0]?.source ?? '';
  const transfer = () => {
    if (way.by === 'selective') {
      putSelection(source, selectionOf(picked));
      void go({ to: '/selective-transfer', search: { source } });
    } else {
      putFile('batch_transfer', 'picked-results.csv', textToBase64(fileOf(picked)));
      void go({ to: '/batch-transfer', search: { source } });
    }
  };
  return (
    <div className={c.bar}>
      <span role="status" className="grow">
        <b className="strong">{pickedSays(picked)}</b> <span className="dim">{way.says}</span>
      </span>
      <Button variant="subtle" size="compact-sm" onClick={clear}>
        Clear
      </Button>
      <Button onClick={transfer} disabled={!way.by}>
        Transfer these
      </Button>
    </div>
  );
}

type TableProps = {
  results: QueryResult[];
  /** Of several sources. */
  several: boolean;
  series: boolean;
  pseudonyms: boolean;
  picked: ReadonlySet<number>;
  pick: (ids: number[], on: boolean) => void;
  chooseRow: (row: number) => void;
};

function Table({ results, picked, pick, ...rest }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const narrow = useMediaQuery('(max-width: 640px)', false, { getInitialValueInEffect: false });
  const wide = useRowHeight();
  const height = narrow ? 88 : wide;
  // eslint-disable-next-line react-hooks/incompatible-library -- what it returns is used here only
  const rows = useVirtualizer({
    count: results.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: (i) => results[i]?.id ?? i,
    overscan: 12,
  });
  const n = useMemo(() => results.reduce((sum, r) => sum + (picked.has(r.id) ? 1 : 0), 0), [results, picked]);
  const all = n > 0 && n === results.length;
  const { several, series, pseudonyms } = rest;
  return (
    <div
      role="table"
      aria-label="Results"
      aria-rowcount={results.length + 1}
      className={c.table}
      data-several={several || undefined}
      data-pseudonyms={pseudonyms || undefined}
    >
      <div role="rowgroup">
        <div role="row" aria-rowindex={1} className={c.head}>
          <span role="columnheader">
            <Checkbox
              aria-label="Pick all that are shown"
              checked={all}
              indeterminate={n > 0 && !all}
              onChange={() =>
                pick(
                  results.map((r) => r.id),
                  !all,
                )
              }
            />
          </span>
          <span role="columnheader">Row</span>
          {several && <span role="columnheader">Source</span>}
          {pseudonyms && <span role="columnheader">Pseudonym</span>}
          <span role="columnheader">Patient ID</span>
          <span role="columnheader">Name</span>
          <span role="columnheader">Study Date</span>
          <span role="columnheader">Modality</span>
          <span role="columnheader">{series ? 'Study and series' : 'Description'}</span>
          <span role="columnheader" className={c.accession}>
            Accession #
          </span>
          <span role="columnheader" className={c.right}>
            Images
          </span>
        </div>
      </div>
      <div className={c.scroller} ref={scroller} role="rowgroup">
        <div style={{ height: rows.getTotalSize() }} className={c.whole} role="none">
          {rows.getVirtualItems().map(({ index, key, start }) => {
            const result = results[index];
            return (
              result && (
                <div
                  key={key}
                  role="row"
                  aria-rowindex={index + 2}
                  data-picked={picked.has(result.id) || undefined}
                  className={c.row}
                  style={{ height, transform: `translateY(${start}px)` }}
                >
                  <Row result={result} picked={picked.has(result.id)} pick={pick} {...rest} />
                </div>
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

type RowProps = Pick<TableProps, 'several' | 'pseudonyms' | 'pick' | 'chooseRow'> & {
  result: QueryResult;
  picked: boolean;
};

const Row = memo(function Row({ result: r, several, pseudonyms, picked, pick, chooseRow }: RowProps) {
  const series = [r.series_number, r.series_description]
    .filter((v) => v !== undefined && v !== '')
    .join(' · ');
  const description = [r.study_description, series].filter(Boolean).join(' / ');
  return (
    <>
      <span role="cell">
        <Checkbox
          aria-label={`Pick the study of ${r.study_date ? date(r.study_date) : 'an unknown day'}, row ${r.row}`}
          checked={picked}
          onChange={() => pick([r.id], !picked)}
        />
      </span>
      <span role="cell" className="num">
        <button
          type="button"
          className={c.rowLink}
          title="Only what this row has found"
          onClick={() => chooseRow(r.row)}
        >
          <span className="vh">Only row </span>
          {r.row}
        </button>
      </span>
      {several && <span role="cell">{r.source}</span>}
      {pseudonyms && (
        <span role="cell">
          <bdi>{r.pseudonym}</bdi>
        </span>
      )}
      <span role="cell" className="num">
        <bdi>{r.patient_id}</bdi>
      </span>
      <span role="cell" className={c.name}>
        <PatientName value={r.patient_name} />
      </span>
      <span role="cell" className="num">
        {r.study_date ? date(r.study_date) : <span className="dim">unknown</span>}{' '}
        <span className="dim">{r.study_time && time(r.study_time)}</span>
      </span>
      <span role="cell">{r.modalities.join(', ')}</span>
      <span role="cell" className={c.description} title={description}>
        {description ? <bdi>{description}</bdi> : <span className="dim">no description</span>}
      </span>
      <span role="cell" className={`num ${c.accession}`}>
        <bdi>{r.accession_number}</bdi>
      </span>
      <span role="cell" className={c.right}>
        {r.instances === undefined ? <span className="dim">?</span> : count(r.instances)}
      </span>
    </>
  );
});
