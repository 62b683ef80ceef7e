// SPDX-License-Identifier: AGPL-3.0-or-later

import b from '../../batch/Batch.module.css';
import c from './MassTransfer.module.css';

const fields: [name: string, key: string, meaning: string, example: string][] = [
  [
    'Include, Exclude',
    'mode',
    'A series is taken if it fits a filter that includes, and none that excludes.',
    'include',
  ],
  ['Modality', 'modality', 'The modality of the series.', 'CT'],
  ['Study description', 'study_description', 'The description of the study.', '*head*'],
  ['Series description', 'series_description', 'The description of the series.', 'T2*'],
  ['Series number', 'series_number', 'The number of the series. A series without one does not fit.', '4'],
  ['Institution', 'institution_name', 'The institution of the series.', '*Neuroradiology*'],
  [
    'The whole study…',
    'apply_institution_on_study',
    'If one series fits the institution, all series of its study do. Without it, each series is asked for itself; a filter that excludes always does so.',
    'true',
  ],
  [
    'Minimum age',
    'min_age',
    'How old the patient is on the day of the study, in completed years, at least.',
    '18',
  ],
  ['Maximum age', 'max_age', 'The same, at most.', '90'],
  [
    'Minimum images',
    'min_number_of_series_related_instances',
    'How many images the series has. It leaves out topograms and reports.',
    '20',
  ],
];

const example: Record<string, string | number>[] = [
  {
    mode: 'include',
    modality: 'CT',
    study_description: '*head*',
    min_age: 18,
    min_number_of_series_related_instances: 20,
  },
  { mode: 'include', modality: 'MR', institution_name: '*Neuroradiology*', series_description: 'T2*' },
  { mode: 'exclude', series_description: '*topogram*' },
];

/** csv writes the example as a table that can be read again. */
function csv(): string {
  const columns = fields.map(([, key]) => key).filter((key) => example.some((f) => key in f));
  const rows = example.map((f) => columns.map((key) => f[key] ?? '').join(','));
  return [columns.join(','), ...rows, ''].join('\r\n');
}

const samples = [
  { name: 'filters.csv', type: 'text/csv', text: csv() },
  { name: 'filters.json', type: 'application/json', text: `${JSON.stringify(example, null, 2)}\n` },
];

/** Sample is a small file to begin with, which the page makes itself. */
function Sample({ name, type, text }: (typeof samples)[number]) {
  return (
    <a href={`data:${type};charset=utf-8,${encodeURIComponent(text)}`} download={name} className="ul">
      {name}
    </a>
  );
}

/** MassHelp is what there is to say about the page. */
export default function MassHelp() {
  return (
    <>
      <p>
        ADIT looks through what a server has of some days, one day or week after the other, and transfers all
        series that fit your filters. Nothing is left out in silence: where a server gives only a part of what
        it has, ADIT asks again for shorter times, and says so if that does not help.
      </p>
      <h3 className={b.helpTitle}>A dry run</h3>
      <p>
        A dry run only looks, and counts: patients, studies, series and images, day by day. When it has ended,
        you transfer what it has found by a click, or change the filters and look again. <b>Start transfer</b>{' '}
        does both at once: each study is sent as soon as it is found.
      </p>
      <h3 className={b.helpTitle}>The filters</h3>
      <p>
        What you leave empty does not matter. Texts match as a whole; capitals, accents and blanks don’t
        matter; <b>*</b> stands for any characters, <b>?</b> for one. A table (.xlsx or CSV) makes a filter of
        each row; its columns are named as in JSON. Samples:{' '}
        {samples.map((sample, i) => (
          <span key={sample.name}>
            {i > 0 && ', '}
            <Sample {...sample} />
          </span>
        ))}
        .
      </p>
      <table className={b.columns}>
        <thead>
          <tr>
            <th scope="col">Field, and its name in JSON</th>
            <th scope="col">What it means</th>
            <th scope="col">Example</th>
          </tr>
        </thead>
        <tbody>
          {fields.map(([name, key, meaning, value]) => (
            <tr key={key}>
              <th scope="row">
                {name}
                <div className={`small dim ${c.key}`}>{key}</div>
              </th>
              <td>{meaning}</td>
              <td className="dim">{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3 className={b.helpTitle}>Again and again</h3>
      <p>
        Under <b>Run again</b> you plan a transfer for days of the week and a time. Each run looks through all
        days since the last run that ended well, and some before for what arrives late, and sends only what
        earlier runs have not. A run never begins while the one before goes on. <b>Recurring</b> on the page
        Jobs shows what runs again, and lets you pause, change and remove it.
      </p>
      <h3 className={b.helpTitle}>How it ends</h3>
      <p>
        <b>Success:</b> a day was looked through, or every image of a study has arrived. <b>Warning:</b> a day
        may have more than the server gives, or an image was left out or noted. <b>Failure:</b> a day could
        not be looked through, or images are missing. A retry looks again, and sends only what is missing.
      </p>
      <h3 className={b.helpTitle}>Keys</h3>
      <p>
        Ctrl + Enter begins the dry run, or has it run again. In the chart of a job, arrows walk through the
        days, and Enter shows the series of one.
      </p>
    </>
  );
}
