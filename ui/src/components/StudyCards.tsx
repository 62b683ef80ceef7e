// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Checkbox } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { Fragment } from 'react';

import { counted } from '../format/numbers';
import { PickAll } from './PickAll';
import { useWindowRows } from './rows';
import { isPicked, pick, type Selection, studyState } from './selection';
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
import { itemOf, type Row, seriesWord } from './studyRows';
import type { StudyListProps } from './StudyTable';
import c from './StudyTable.module.css';

const heights = { study: 85, series: 31, word: 36 };

type CardProps = Pick<StudyListProps, 'toggle' | 'load'> & {
  row: Row;
  selection: Selection;
  onPick: () => void;
};

/** StudyCards shows studies as cards, which scroll with the page. */
export function StudyCards(props: StudyListProps) {
  const { rows, toggle, load, selection, onSelection } = props;
  const { list, places, after, measure } = useWindowRows<HTMLUListElement>({
    count: rows.length,
    height: (i) => heights[rows[i]?.kind ?? 'study'],
    keyOf: (i) => rows[i]?.id ?? i,
  });
  return (
    <>
      <PickAll {...props} label="Pick all" />
      <ul ref={list} className={c.cards} aria-label="Studies found">
        {places.map(({ index, gap }) => {
          const row = rows[index];
          const item = itemOf(row);
          if (!row) return null;
          return (
            <Fragment key={row.id}>
              {gap > 0 && <li aria-hidden style={{ height: gap }} />}
              <li
                data-index={index}
                ref={measure}
                className={row.kind === 'study' ? c.card : c.under}
                data-on={selection.has(row.study.study_instance_uid) || undefined}
              >
                <Card
                  row={row}
                  toggle={toggle}
                  load={load}
                  selection={selection}
                  onPick={() => item && onSelection(pick(selection, [item], !isPicked(selection, item)))}
                />
              </li>
            </Fragment>
          );
        })}
        {after > 0 && <li aria-hidden style={{ height: after }} />}
      </ul>
    </>
  );
}

function Card(props: CardProps) {
  if (props.row.kind === 'study') return <StudyCard {...props} row={props.row} />;
  if (props.row.kind === 'series') return <SeriesLine {...props} row={props.row} />;
  const { study, of } = props.row;
  return (
    <>
      <span className="grow dim">{seriesWord(of)}</span>
      {of?.problem && (
        <Button variant="subtle" size="compact-xs" onClick={() => props.load(study)}>
          Try again
        </Button>
      )}
    </>
  );
}

type StudyCardProps = CardProps & { row: Extract<Row, { kind: 'study' }> };

function StudyCard({ row, selection, onPick, toggle }: StudyCardProps) {
  const { study, open } = row;
  return (
    <>
      <span className={c.cardPick}>
        <Checkbox
          size="sm"
          aria-label={`Pick ${studyWords(study)}`}
          checked={isPicked(selection, { study })}
          indeterminate={studyState(selection, study) === 'some'}
          onChange={onPick}
        />
      </span>
      <span className="ellipsis">
        <PatientName value={study.patient_name} />
      </span>
      <Modalities values={study.modalities_in_study} />
      <span className={`${c.second} ellipsis`}>
        <span className="num">
          <StudyDate study={study} />
        </span>{' '}
        · <Description value={study.study_description} />
      </span>
      <span className={c.third}>
        <span className="ellipsis">{study.patient_id || 'ID unknown'}</span>
        <span className="nowrap">
          *<BirthDate value={study.patient_birth_date} />
        </span>
        <span className="nowrap">
          {study.instances === undefined ? 'count unknown' : counted(study.instances, 'image')}
        </span>
        <button
          type="button"
          className={c.toggle}
          aria-expanded={open}
          aria-label={`${open ? 'Hide' : 'Show'} series of the ${studyWords(study)}`}
          onClick={() => toggle(row)}
        >
          <IconChevronRight size={15} aria-hidden />
        </button>
      </span>
    </>
  );
}

type SeriesLineProps = CardProps & { row: Extract<Row, { kind: 'series' }> };

function SeriesLine({ row: { study, series }, selection, onPick }: SeriesLineProps) {
  return (
    <label className={c.line}>
      <Checkbox
        aria-label={`Pick ${seriesWords(series)}, ${series.series_description || 'no description'}`}
        checked={isPicked(selection, { study, series })}
        onChange={onPick}
      />
      <Modalities values={series.modality ? [series.modality] : []} />
      <span className="grow ellipsis">
        <Description value={series.series_description} />
      </span>
      <span className="dim num">
        <Images value={series.instances} />
      </span>
    </label>
  );
}
