// SPDX-License-Identifier: AGPL-3.0-or-later

import type { FoundSeries, Study } from '../api';
import { date, name, time } from '../format/dicom';
import { count } from '../format/numbers';
import { Badge } from './status';
import c from './StudyTable.module.css';

/** PatientName is a name as text, whatever is in it, and however its script runs. */
export function PatientName({ value }: { value: string }) {
  const { text, ideographic } = name(value);
  if (!text) return <span className="dim">unknown</span>;
  return (
    <>
      <bdi className={c.name}>{text}</bdi>
      {ideographic && <bdi className={c.ideographic}>{ideographic}</bdi>}
    </>
  );
}

export function BirthDate({ value }: { value: string }) {
  return value ? date(value) : <span className="dim">unknown</span>;
}

export function StudyDate({ study }: { study: Study }) {
  return (
    <>
      {study.study_date ? date(study.study_date) : <span className="dim">unknown</span>}{' '}
      <span className="dim">{study.study_time ? time(study.study_time) : '–'}</span>
    </>
  );
}

/** Modalities shows as many as a column has room for, and how many there are besides. */
export function Modalities({ values }: { values: string[] }) {
  const shown = fitting(values);
  const rest = values.length - shown.length;
  return (
    <span className={c.modalities} title={values.join(', ')}>
      {shown.map((m) => (
        <Badge key={m}>{m}</Badge>
      ))}
      {rest > 0 && (
        <Badge>
          <span aria-hidden>+{rest}</span>
          <span className="vh">{values.slice(-rest).join(', ')}</span>
        </Badge>
      )}
    </span>
  );
}

const room = 120; // pixels in the column

function fitting(values: string[]): string[] {
  const width = (m: string) => 17 + 8 * m.length;
  let left = room;
  const fit = values.findIndex((m, i) => {
    left -= width(m);
    return left < (i < values.length - 1 ? width('+9') : 0);
  });
  return fit < 0 ? values : values.slice(0, Math.max(fit, 1));
}

export function Description({ value }: { value: string }) {
  return value ? <bdi>{value}</bdi> : <span className="dim">no description</span>;
}

export function Images({ value }: { value?: number }) {
  if (value !== undefined) return count(value);
  return (
    <span className="dim" title="The server does not say.">
      ?
    </span>
  );
}

/** studyWords names a study where its row can't be seen. */
export function studyWords(study: Study): string {
  const day = study.study_date ? date(study.study_date) : 'an unknown day';
  return `study of ${day}${study.study_time ? ` ${time(study.study_time)}` : ''}, ${name(study.patient_name).text || 'name unknown'}`;
}

/** seriesWords names a series as its row does. */
export function seriesWords(series: FoundSeries): string {
  return series.series_number === undefined ? 'Series without a number' : `Series ${series.series_number}`;
}
