// SPDX-License-Identifier: AGPL-3.0-or-later
// @vitest-environment jsdom

import { expect, test } from 'vitest';

import type { FoundSeries, Study } from '../../api';
import { addressOf, type DownloadChoices } from './download';
import { refusalOf } from './frame';

const study = {
  study_instance_uid: '1.2',
  patient_id: 'PHANTOM-1',
  patient_name: 'Phantom^One',
  accession_number: 'A1',
} as Study;
const typed: DownloadChoices = { named: 'typed', pseudonym: ' SUBJ 1&2 ', project: 'lung' };

test('the address of a download', () => {
  const of = (series: 'all' | string[], choices: DownloadChoices) => {
    const some = series === 'all' ? series : new Map(series.map((uid) => [uid, {} as FoundSeries]));
    const url = new URL(addressOf('PACS A', { study, series: some }, choices));
    expect(url.origin).toBe(location.origin);
    expect(decodeURIComponent(url.href)).not.toMatch(/PHANTOM|Phantom|A1/);
    return [url.pathname, Object.fromEntries(url.searchParams)];
  };
  const path = '/api/v1/servers/PACS%20A/studies/1.2/download';
  const under = { pseudonym: 'SUBJ 1&2', project: 'lung' };
  expect(of('all', typed)).toEqual([path, under]);
  expect(of(['1.2.1', '1.2.2'], typed)).toEqual([path, { series: '1.2.1,1.2.2', ...under }]);
  expect(of('all', { ...typed, project: '' })).toEqual([path, { pseudonym: 'SUBJ 1&2' }]);
  expect(of('all', { ...typed, named: 'none' })).toEqual([path, {}]);
});

test('why there is no download', () => {
  const body = { detail: 'The study is not at PACS-A.', status: 404, code: 'not_found', request_id: 'R' };
  expect(refusalOf(JSON.stringify(body))).toMatchObject({
    message: 'The study is not at PACS-A.',
    status: 404,
    requestId: 'R',
  });
  for (const shown of [null, undefined, '', '<h1>Bad gateway</h1>', '{}', 'null', '7']) {
    expect(refusalOf(shown)).toMatchObject({ status: 0, code: 'unreachable' });
  }
});
