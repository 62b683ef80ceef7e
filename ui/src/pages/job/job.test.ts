// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, it } from 'vitest';

import type { FailureGroup, MassTransfer, ServerNow, Task } from '../../api';
import { fakeJob } from '../../jobs/job.fake';
import { identitySays } from './deid';
import { reasonOf, retrySays } from './failed';
import { figuresOf } from './figures';
import { follows } from './follows';
import { ratesSay, sampled } from './rates';
import { blocksFor, shownTasks, taskSays, taskStatus, triesSay, whose, whoseWords } from './tasks';

const now = new Date(2026, 10, 12, 21, 5);
const iso = (hour: number, minute = 0, day = 12) => new Date(2026, 10, day, hour, minute).toISOString();

const by = { profile: 'adit-default', profile_version: '1', profile_sha256: 'ab', uid_generation: 1 };

describe('figures', () => {
  const value = (label: string, job = fakeJob()) => {
    const figure = figuresOf(job, now).find((f) => f.label === label);
    return figure && [figure.value, figure.small];
  };
  const running = fakeJob({
    status: 'in_progress',
    tasks: { success: 2, pending: 3, in_progress: 1 },
    expected: 1000,
    delivered: 500,
    bytes: 50_000_000,
    rate: { instances_per_second: 61, bytes_per_second: 31_000_000 },
    ready_at: iso(23, 10),
  });
  it('counts', () => {
    expect(value('Studies delivered', running)).toEqual(['2', 'of 6']);
    const failed = fakeJob({ status: 'failure', tasks: { success: 1, failure: 1 } });
    expect(value('Studies delivered', failed)).toEqual(['1', 'of 2']);
    expect(value('Now', running)).toEqual(['61', 'images/s · 31 MB/s']);
    expect(value('Ready', running)).toEqual(['23:10', 'in about 2 h 5 min']);
  });
  it('says what is not known yet', () => {
    expect(value('Images delivered', running)).toEqual(['500', 'of 1,000 known so far']);
    expect(value('Size', running)).toEqual(['50 MB', '']);
    const known = { ...running, tasks: { ...running.tasks, pending: 0 } };
    expect(value('Images delivered', known)).toEqual(['500', 'of 1,000']);
    expect(value('Size', known)).toEqual(['50 MB', 'of about 100 MB']);
    expect(value('Images delivered')).toEqual(['0', 'not counted yet']);
    expect(value('Ready')).toEqual(['–', 'not known yet']);
  });
  it('tells of a day to come', () => {
    expect(value('Ready', { ...running, ready_at: iso(6, 30, 13) })).toEqual([
      '06:30',
      'about tomorrow 06:30',
    ]);
  });
  it('tells how long it took', () => {
    const ended = fakeJob({ status: 'success', started_at: iso(18), ended_at: iso(20, 5) });
    expect(value('Took', ended)).toEqual(['2 h 5 min', 'ended today 20:05']);
    expect(value('Now', ended)).toBeUndefined();
  });
});

describe('rates', () => {
  it('keeps an hour', () => {
    let rates = sampled(null, undefined, now);
    expect(rates).toBeNull();
    rates = sampled(null, 0.5, now);
    for (let i = 1; i <= 800; i++) rates = sampled(rates, i, new Date(now.getTime() + i * 5000));
    expect(rates?.values).toHaveLength(720);
    expect(rates?.values.at(-1)).toBe(800);
    expect(rates && rates.to.getTime() - rates.from.getTime()).toBe(719 * 5000);
    expect(sampled(rates, undefined, now)?.values.at(-1)).toBe(0);
  });
  it('says what it does not hold', () => {
    expect(ratesSay({ from: now, to: now, values: [3, 12.4] })).toBe(
      'Images per second since 21:05, each the mean of five minutes: now 12, at most 12. ' +
        'ADIT keeps none from before this page was opened.',
    );
  });
});

describe('what follows', () => {
  const server = (s: Partial<ServerNow>): ServerNow => ({
    id: 1,
    name: 'PACS-A',
    batch_in_use: 0,
    interactive_in_use: 0,
    in_force: { batch: 4, interactive: 2 },
    now: now.toISOString(),
    paused: false,
    time_zone: 'UTC',
    window: 0,
    ...s,
  });
  it.each<[string, Partial<ServerNow>, Parameters<typeof fakeJob>[0], string]>([
    ['nothing is known', {}, {}, ''],
    ['the job is paused', {}, { paused: true }, 'It goes on when somebody continues it.'],
    ['the server is paused', { paused: true }, {}, 'It goes on when staff continues PACS-A.'],
    [
      'down',
      { down: 'It does not answer.', next_probe: iso(21, 10) },
      {},
      'ADIT asks PACS-A again at 21:10.',
    ],
    [
      'closed',
      { in_force: { batch: 0, interactive: 2 }, opens: iso(20, 0, 13) },
      {},
      'PACS-A takes jobs again tomorrow 20:00.',
    ],
    [
      'the reason says it',
      { in_force: { batch: 0, interactive: 2 }, opens: iso(20, 0, 13) },
      { why_waiting: 'PACS-A is closed; window opens at 20:00' },
      '',
    ],
    [
      'its window ends',
      { until: iso(6, 0, 13) },
      {},
      'PACS-A allows jobs 4 connections until tomorrow 06:00; then other limits apply.',
    ],
    ['it is ready before', { until: iso(6, 0, 13) }, { ready_at: iso(23) }, ''],
    ['another server', { name: 'OTHER', paused: true }, {}, ''],
  ])('%s', (_, s, job, words) => {
    expect(follows(fakeJob(job), [server(s)], now)).toBe(words);
  });
});

describe('what went wrong', () => {
  const group = (g: Partial<FailureGroup>): FailureGroup => ({
    first: [],
    message: 'PACS-A has no such study',
    missing: 0,
    retry_helps: false,
    status: 'failure',
    tasks: 3,
    ...g,
  });
  it('parts the first sentence', () => {
    const message = 'pacs.example.org refused N images (status A700H). A retry sends only what is missing.';
    expect(reasonOf(group({ message, missing: 2, dicom_status: 'A700' }))).toEqual({
      title: 'Pacs.example.org refused N images (status A700H)',
      says: 'A retry sends only what is missing. 2 images missing.',
    });
    expect(reasonOf(group({ message: 'PACS-A has no study UID; check the Study Instance UID' }))).toEqual({
      title: 'PACS-A has no study UID',
      says: 'Check the Study Instance UID.',
    });
    expect(reasonOf(group({ dicom_status: 'A900' }))).toEqual({
      title: 'PACS-A has no such study',
      says: '(DICOM status A900)',
    });
  });
  it('tells what a retry does', () => {
    expect(retrySays(5, [group({})], fakeJob())).toMatch(/^Once the cause is gone, .* all 5 failed studies/);
    expect(retrySays(0, [group({ status: 'warning' })], fakeJob())).toBe('');
    expect(retrySays(5, [group({ retry_helps: true })], fakeJob())).toMatch(
      /^A retry .* all 5 failed studies/,
    );
    expect(retrySays(1, [group({ retry_helps: true })], fakeJob())).toContain('the failed study');
    expect(retrySays(0, [group({ retry_helps: true, status: 'warning' })], fakeJob())).toContain(
      'asks the destination',
    );
  });
});

describe('tasks', () => {
  const task = (t: Partial<Task>): Task => ({
    id: 1201,
    job_id: 1204,
    seq: 1,
    status: 'pending',
    message: '',
    study_instance_uid: '1.2.3',
    bytes: 0,
    expected: 0,
    received: 0,
    delivered: 0,
    verified: 0,
    failures: 0,
    waits: 0,
    created_at: now.toISOString(),
    ...t,
  });
  it('reads the status of the address', () => {
    expect(taskStatus('failure')).toBe('failure');
    expect(taskStatus('unverified')).toBeUndefined();
    expect(taskStatus('nonsense')).toBeUndefined();
    expect(taskStatus(undefined)).toBeUndefined();
  });
  it('counts what is shown', () => {
    const job = fakeJob({ tasks: { pending: 3, failure: 2 } });
    expect(shownTasks(job, undefined)).toBe(5);
    expect(shownTasks(job, 'failure')).toBe(2);
  });
  it.each([
    [0, 15, 0, []],
    [0, 15, 12, [0]],
    [0, 15, 50_000, [0]],
    [0, 85, 50_000, [0, 1]],
    [110, 130, 50_000, [0, 1]],
    [130, 150, 50_000, [1]],
    [49_990, 49_999, 50_000, [499]],
  ])('rows %i to %i of %i need the blocks %j', (first, last, count, blocks) => {
    expect(blocksFor(first, last, count)).toEqual(blocks);
  });
  it('says what becomes of a task', () => {
    expect(taskSays(task({ why_waiting: 'all connections are in use' }))).toBe(
      'Waits: all connections are in use',
    );
    expect(taskSays(task({}))).toBe('Begins in a moment.');
    expect(taskSays(task({ status: 'in_progress' }))).toBe('Asking the source what belongs to the study.');
    expect(taskSays(task({ status: 'in_progress', expected: 3 }))).toBe('On the way.');
    expect(taskSays(task({ status: 'failure', message: 'no such study' }))).toBe('No such study.');
    expect(triesSay(task({}))).toBe('');
    expect(triesSay(task({ failures: 2 }))).toBe('2 attempts failed');
  });
  it('names the patient', () => {
    const known = task({ patient_id: 'PHANTOM-001', pseudonym: 'SUBJ-001' });
    const named = fakeJob({ deidentified: by });
    expect([whoseWords(named), whose(known, named)]).toEqual(['Pseudonym', 'SUBJ-001']);
    expect(whose(task({ patient_id: 'PHANTOM-001' }), named)).toBe('–');
    const chosen = fakeJob({ deidentified: by, pseudonymize: true });
    expect([whoseWords(chosen), whose(known, chosen)]).toEqual(['Patient ID', 'PHANTOM-001']);
    expect([whoseWords(fakeJob()), whose(task({}), fakeJob())]).toEqual(['Patient ID', '–']);
  });
});

describe('de-identification', () => {
  const sum = {
    studies: 6,
    to_pseudonymize: 4,
    pseudonymized: 0,
    with_identity: 0,
    patients: 0,
    instances: 0,
    instances_with_identity: 0,
    attributes: {},
    codes: {},
    moved_to_utf8: 0,
    assumed_character_sets: {},
    held_back: [],
    excluded: {},
  };
  it('claims no more than is known', () => {
    expect(identitySays(fakeJob(), undefined)).toContain('with the identity');
    expect(identitySays(fakeJob({ deidentified: by }), undefined)).toBe('');
    expect(identitySays(fakeJob({ deidentified: by }), sum)).toBe(
      '4 studies go out under pseudonyms, 2 with identity.',
    );
    expect(identitySays(fakeJob({ deidentified: by }), { ...sum, to_pseudonymize: 6 })).toContain(
      'All studies',
    );
    expect(identitySays(fakeJob({ deidentified: by, pseudonymize: true }), undefined)).toContain(
      'All studies',
    );
  });
});

describe('the figures of a mass transfer', () => {
  const none = { all: 0, success: 0, warning: 0, failure: 0 };
  const mass: MassTransfer = {
    start_date: '2024-01-01',
    end_date: '2024-12-31',
    partitions: 'daily',
    filters: [{}],
    dry_run: true,
    found: { patients: 0, studies: 0, series: 0, instances: 0, uncounted: 0 },
    looked: { ...none, all: 366, success: 300 },
    moved: none,
  };
  const job = fakeJob({ kind: 'mass_transfer', status: 'in_progress', tasks: { success: 300, pending: 66 } });
  const figures = (of: MassTransfer) =>
    figuresOf(job, new Date(), undefined, of).map((f) => `${f.label}: ${f.value as string}`);
  it('of a dry run', () => {
    expect(figures(mass)).toEqual(['Days looked through: 300', 'Ready: –']);
  });
  it('of one that looks and transfers', () => {
    const both: MassTransfer = {
      ...mass,
      partitions: 'weekly',
      dry_run: false,
      moved: { ...none, all: 9, success: 4 },
    };
    expect(figures(both).slice(0, 2)).toEqual(['Weeks looked through: 300', 'Studies delivered: 4']);
    expect(figures({ ...both, looked: { ...none, all: 366, success: 366 } })).toEqual([
      'Studies delivered: 4',
      'Images delivered: 0',
      'Size: 0 B',
      'Now: –',
      'Ready: –',
    ]);
  });
});
