// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Checkbox } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconChevronRight, IconSortDescending } from '@tabler/icons-react';
import { defaultRangeExtractor, useVirtualizer } from '@tanstack/react-virtual';
import { Fragment, type KeyboardEvent, memo, useCallback, useEffect, useRef } from 'react';

import type { Study } from '../api';
import type { SeriesLists } from '../search/series';
import { PickAll } from './PickAll';
import { useRowHeight } from './rows';
import { isPicked, type Selection, studyState } from './selection';
import { StudyCards } from './StudyCards';
import { useStudyKeys } from './studyKeys';
import {
  BirthDate,
  Description,
  Images,
  Modalities,
  PatientName,
  seriesWords,
  StudyDate,
  studyWords,
} from './studyParts';
import { itemOf, type Row, rowsOf, seriesWord } from './studyRows';
import c from './StudyTable.module.css';

export type StudyTableProps = {
  studies: Study[];
  series: SeriesLists;
  /** load asks for the series of a study. */
  load: (study: Study) => void;
  /** Rows of studies that are unfolded. */
  open: ReadonlySet<string>;
  onOpen: (open: ReadonlySet<string>) => void;
  selection: Selection;
  onSelection: (selection: Selection) => void;
};

/** StudyTable shows studies and their series to pick from: as a table, or as cards where there is no room. */
export default function StudyTable(props: StudyTableProps) {
  const narrow = useMediaQuery('(max-width: 720px)', false, { getInitialValueInEffect: false });
  const rows = rowsOf(props.studies, props.open, props.series);
  const toggle = (row: Row) => {
    const open = new Set(props.open);
    if (open.delete(row.id)) return props.onOpen(open);
    props.load(row.study);
    props.onOpen(open.add(row.id));
  };
  const View = narrow ? StudyCards : StudyGrid;
  return <View {...props} rows={rows} toggle={toggle} />;
}

export type StudyListProps = StudyTableProps & { rows: Row[]; toggle: (row: Row) => void };

const allRendered = 100; // rows; of more, only those in sight are in the document
const [head, under] = [33, 30]; // heights in pixels of the head, and of what is under a study

function StudyGrid({ studies, rows, toggle, load, selection, onSelection }: StudyListProps) {
  const scroll = useRef<HTMLDivElement>(null);
  const body = useRef<HTMLTableSectionElement>(null);
  const keys = useStudyKeys({ rows, body, selection, onSelection, toggle });
  const height = useRowHeight();
  const getItemKey = useCallback((i: number) => rows[i]?.id ?? i, [rows]);
  // eslint-disable-next-line react-hooks/incompatible-library -- the React Compiler is not used
  const virtual = useVirtualizer({
    count: rows.length,
    enabled: rows.length > allRendered,
    getScrollElement: () => scroll.current,
    estimateSize: (i) => (rows[i]?.kind === 'study' ? height : under),
    getItemKey,
    scrollMargin: head,
    overscan: 12,
    // The row with the focus stays, wherever one scrolls.
    rangeExtractor: (seen) =>
      [...new Set([keys.active, ...defaultRangeExtractor(seen)])].sort((a, b) => a - b),
  });
  useEffect(() => virtual.measure(), [virtual, height]);
  const places =
    rows.length > allRendered
      ? virtual.getVirtualItems().map(({ index, start, end }) => ({
          index,
          start: start - head,
          end: end - head,
        }))
      : rows.map((_, index) => ({ index, start: 0, end: 0 }));
  const rest = rows.length > allRendered ? virtual.getTotalSize() - (places.at(-1)?.end ?? 0) : 0;
  return (
    <div className={c.scroll} ref={scroll}>
      <table
        className={c.grid}
        role="treegrid"
        aria-label="Studies found"
        aria-multiselectable="true"
        aria-rowcount={rows.length + 1}
      >
        <Columns />
        <thead>
          <tr role="row" aria-rowindex={1}>
            <th role="columnheader" className={c.pick}>
              <PickAll studies={studies} selection={selection} onSelection={onSelection} />
            </th>
            <Head />
          </tr>
        </thead>
        <tbody ref={body}>
          {places.map(({ index, start }, i) => {
            const row = rows[index];
            if (!row) return null;
            const gap = start - (places[i - 1]?.end ?? 0);
            return (
              <Fragment key={row.id}>
                {gap > 0 && <Gap height={gap} />}
                <GridRow
                  row={row}
                  index={index}
                  active={index === keys.active}
                  selection={selection}
                  pickRow={keys.pickRow}
                  toggle={toggle}
                  load={load}
                  onFocus={() => keys.setActive(row)}
                  onKeyDown={(e) => keys.onKeyDown(e, index)}
                />
              </Fragment>
            );
          })}
          {rest > 0 && <Gap height={rest} />}
        </tbody>
      </table>
    </div>
  );
}

function Columns() {
  return (
    <colgroup>
      <col className={c.colPick} />
      <col className={c.colFold} />
      <col className={c.colPatientID} />
      <col className={c.colName} />
      <col className={c.colBirth} />
      <col className={c.colStudy} />
      <col className={c.colModality} />
      <col />
      <col className={c.colAccession} />
      <col className={c.colImages} />
    </colgroup>
  );
}

function Head() {
  return (
    <>
      <th role="columnheader" className={c.fold}>
        <span className="vh">Series</span>
      </th>
      <th role="columnheader">Patient ID</th>
      <th role="columnheader">Name</th>
      <th role="columnheader" className={c.birth}>
        Birth Date
      </th>
      <th role="columnheader" aria-sort="descending">
        Study Date/Time
        <IconSortDescending size={14} aria-hidden className={c.sorted} />
      </th>
      <th role="columnheader">Modality</th>
      <th role="columnheader">Description</th>
      <th role="columnheader" className={c.accession}>
        Accession #
      </th>
      <th role="columnheader" className={c.right}>
        # Images
      </th>
    </>
  );
}

/** Gap stands for rows that are not in sight. */
function Gap({ height }: { height: number }) {
  return (
    <tr aria-hidden className={c.gap}>
      <td style={{ height }} />
    </tr>
  );
}

type GridRowProps = {
  row: Row;
  index: number;
  active: boolean;
  selection: Selection;
  pickRow: (index: number, shift?: boolean) => void;
  toggle: (row: Row) => void;
  load: (study: Study) => void;
  onFocus: () => void;
  onKeyDown: (e: KeyboardEvent) => void;
};

// While one scrolls, only the rows that come into sight are drawn. What the functions do follows from the rows and from
// the selection, so that new ones need no new drawing.
const GridRow = memo(DrawnRow, (a, b) => {
  const same = a.row === b.row && a.index === b.index;
  return same && a.active === b.active && a.selection === b.selection;
});

function DrawnRow(props: GridRowProps) {
  const { row, index, active, selection, toggle, onFocus, onKeyDown } = props;
  const item = itemOf(row);
  const isStudy = row.kind === 'study';
  const part = isStudy && studyState(selection, row.study) === 'some';
  return (
    <tr
      role="row"
      tabIndex={active ? 0 : -1}
      data-index={index}
      data-part={part || undefined}
      aria-level={isStudy ? 1 : 2}
      aria-rowindex={index + 2}
      aria-selected={item ? isPicked(selection, item) : undefined}
      aria-expanded={isStudy ? row.open : undefined}
      onFocus={onFocus}
      onKeyDown={onKeyDown}
      onDoubleClick={isStudy ? () => toggle(row) : undefined}
    >
      {isStudy && <StudyCells {...props} study={row.study} open={row.open} part={part} />}
      {row.kind === 'series' && <SeriesCells {...props} row={row} />}
      {row.kind === 'word' && <WordCells {...props} row={row} />}
    </tr>
  );
}

type StudyCellsProps = GridRowProps & { study: Study; open: boolean; part: boolean };

function StudyCells({ row, study, open, part, index, selection, pickRow, toggle }: StudyCellsProps) {
  return (
    <>
      <td role="gridcell" className={c.pick}>
        <Checkbox
          tabIndex={-1}
          aria-label={`Pick ${studyWords(study)}`}
          checked={isPicked(selection, { study })}
          indeterminate={part}
          onChange={(e) => pickRow(index, (e.nativeEvent as MouseEvent).shiftKey)}
        />
      </td>
      <td role="gridcell" className={c.fold}>
        <button
          type="button"
          tabIndex={-1}
          className={c.toggle}
          aria-expanded={open}
          aria-label={open ? 'Hide series' : 'Show series'}
          onClick={() => toggle(row)}
        >
          <IconChevronRight size={15} aria-hidden />
        </button>
      </td>
      <td role="gridcell" title={study.patient_id}>
        {study.patient_id ? <bdi>{study.patient_id}</bdi> : <span className="dim">unknown</span>}
      </td>
      <td role="gridcell" title={study.patient_name}>
        <PatientName value={study.patient_name} />
      </td>
      <td role="gridcell" className={c.birth}>
        <BirthDate value={study.patient_birth_date} />
      </td>
      <td role="gridcell">
        <StudyDate study={study} />
      </td>
      <td role="gridcell">
        <Modalities values={study.modalities_in_study} />
      </td>
      <td role="gridcell" title={study.study_description}>
        <Description value={study.study_description} />
      </td>
      <td role="gridcell" className={c.accession} title={study.accession_number}>
        {study.accession_number}
      </td>
      <td role="gridcell" className={c.right}>
        <Images value={study.instances} />
      </td>
    </>
  );
}

type SeriesCellsProps = GridRowProps & { row: Extract<Row, { kind: 'series' }> };

function SeriesCells({ row: { study, series }, index, selection, pickRow }: SeriesCellsProps) {
  const words = seriesWords(series);
  return (
    <>
      <td role="gridcell" className={c.pick} />
      <td role="gridcell" className={c.fold}>
        <Checkbox
          tabIndex={-1}
          aria-label={`Pick ${words}, ${series.series_description || 'no description'}`}
          checked={isPicked(selection, { study, series })}
          onChange={(e) => pickRow(index, (e.nativeEvent as MouseEvent).shiftKey)}
        />
      </td>
      <td role="gridcell" colSpan={2} className="dim">
        {words}
      </td>
      <td role="gridcell" className={c.birth} />
      <td role="gridcell" />
      <td role="gridcell">
        <Modalities values={series.modality ? [series.modality] : []} />
      </td>
      <td role="gridcell" title={series.series_description}>
        <Description value={series.series_description} />
      </td>
      <td role="gridcell" className={c.accession} />
      <td role="gridcell" className={c.right}>
        <Images value={series.instances} />
      </td>
    </>
  );
}

type WordCellsProps = GridRowProps & { row: Extract<Row, { kind: 'word' }> };

function WordCells({ row: { study, of }, load }: WordCellsProps) {
  return (
    <>
      <td role="gridcell" className={c.pick} />
      <td role="gridcell" className={c.fold} />
      <td role="gridcell" colSpan={6} className="dim">
        {seriesWord(of)}{' '}
        {of?.problem && (
          <Button variant="subtle" size="compact-xs" onClick={() => load(study)}>
            Try again
          </Button>
        )}
      </td>
      <td role="gridcell" className={c.birth} />
      <td role="gridcell" className={c.accession} />
    </>
  );
}
