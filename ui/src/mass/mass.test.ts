// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import type { MassFilter, MassPartition, MassTasks, MassTransfer, MassVolume } from '../api';
import { blocksOf, daysWords, foundSays, levelOf, step, topOf } from './calendar';
import { dayNumber, dayOf, partsIn, readEnds } from './days';
import { shortcuts } from './shortcuts';
import {
  cardOf,
  faultsOf,
  type FilterForm,
  filterOf,
  filtersFault,
  filterSays,
  joined,
  newFilter,
} from './filters';
import { jsonOf, readJSON } from './json';
import { lineOf, type Placed, readPlaced, Unread } from './places';
import { chosenBy } from './volumes';
import { looksSays, takesOf } from './will';
import { daysOf, gapsSays, goesSays } from './words';

const full: MassFilter = {
  mode: 'include',
  modality: 'CT',
  institution_name: '*Neuroradiology*',
  apply_institution_on_study: false,
  study_description: '*head*',
  series_description: 'Axial*',
  series_number: 0,
  min_age: 18,
  max_age: 90,
  min_number_of_series_related_instances: 20,
};

describe('a filter', () => {
  test('comes back out of its card as it was', () => {
    expect(filterOf(cardOf(full))).toEqual(full);
    expect(filterOf(cardOf({}))).toEqual({ mode: 'include' });
    expect(filterOf(cardOf({ mode: 'exclude', modality: 'SR' }))).toEqual({
      mode: 'exclude',
      modality: 'SR',
    });
  });
  test('does not say what has no meaning', () => {
    expect(filterOf(newFilter({ modality: ' MR ', onStudy: false }))).toEqual({
      mode: 'include',
      modality: 'MR',
    });
    expect(filterOf(newFilter({ exclude: true, institution: 'X', onStudy: false }))).toEqual({
      mode: 'exclude',
      institution_name: 'X',
    });
  });
  test.each([
    [{}, {}],
    [{ number: '-3', minAge: '0', maxAge: '200', minImages: '1' }, {}],
    [{ modality: 'CT, MR' }, { modality: 'One modality, such as CT: make a filter for each.' }],
    [{ number: '4.5' }, { number: 'This is not a whole number.' }],
    [{ minAge: 'x' }, { minAge: 'This is not a whole number.' }],
    [{ maxAge: '201' }, { maxAge: 'It is at most 200.' }],
    [{ minImages: '0' }, { minImages: 'It is at least 1.' }],
    [{ minImages: '3000000000' }, { minImages: 'It is at most 2,147,483,647.' }],
    [{ minAge: '60', maxAge: '18' }, { maxAge: 'This is below the minimum age.' }],
  ])('with %j has the faults %j', (part, faults) => {
    expect(faultsOf(newFilter(part))).toEqual(faults);
  });
  test.each([
    [{}, 'All series'],
    [{ study_description: '*head*' }, 'Series in studies called “*head*”'],
    [
      { modality: 'ct', min_age: 18, study_description: '*head*' },
      'CT series of adults in studies called “*head*”',
    ],
    [
      { institution_name: 'Neuro*', min_number_of_series_related_instances: 1 },
      'Series, with at least 1 image, in studies at “Neuro*”',
    ],
    [{ mode: 'exclude', institution_name: 'Neuro*' }, 'Series at “Neuro*”'],
    [{ max_age: 17 }, 'Series of patients aged up to 17'],
    [{ min_age: 65 }, 'Series of patients aged 65 and over'],
    [{ min_age: 40, max_age: 40 }, 'Series of patients aged 40'],
    [
      full,
      'CT series of patients aged 18 to 90 called “Axial*” at “*Neuroradiology*”, number 0, ' +
        'with at least 20 images, in studies called “*head*”',
    ],
  ] as [MassFilter, string][])('%j is said as %s', (filter, says) => {
    expect(filterSays(cardOf(filter))).toBe(says);
  });
});

describe('filters', () => {
  test('can be used, or not', () => {
    expect(filtersFault([newFilter()])).toBe('');
    expect(filtersFault([])).toMatch(/includes something/);
    expect(filtersFault([newFilter({ exclude: true, modality: 'SR' })])).toMatch(/includes something/);
    expect(filtersFault([newFilter(), newFilter({ exclude: true })])).toMatch(
      /Filter 2 leaves out everything/,
    );
    expect(filtersFault([newFilter(), newFilter({ minAge: 'x' })])).toBe('Correct filter 2.');
    expect(filtersFault(Array.from({ length: 1001 }, () => newFilter()))).toMatch(
      /1,001 filters are too many/,
    );
  });
  test('of a table come behind the cards, none twice, and in place of an empty one', () => {
    const first = joined([newFilter()], [{ modality: 'CT' }, { modality: 'MR' }, { modality: 'CT' }]);
    expect([first.added, first.cards.map(filterSays)]).toEqual([2, ['CT series', 'MR series']]);
    const second = joined(first.cards, [{ modality: 'MR' }, { modality: 'US' }]);
    expect([second.added, second.cards.map(filterSays)]).toEqual([
      1,
      ['CT series', 'MR series', 'US series'],
    ]);
  });
});

describe('the JSON', () => {
  test('has the filters of the cards, both ways', () => {
    const cards = [cardOf(full), cardOf({ mode: 'exclude', modality: 'SR' })];
    const read = readJSON(jsonOf(cards));
    expect(read.faults).toEqual([]);
    expect(read.filters.map(filterOf)).toEqual(cards.map(filterOf));
  });
  test.each([
    ['[{"modality": "CT",}]', 1, /double quotes is missing/],
    ['[\n  {"modality": CT}\n]', 2, /no value/],
    ['[\n  {"modality": "CT"\n', 3, /comma or } is missing/],
    ['[]\n]', 2, /behind the end/],
    ['', 1, /end is missing/],
    ['{"modality": "CT"}', 1, /in a list/],
    ['[\n"CT"]', 2, /Filter 1: it stands in braces/],
    ['[{},\n{"Modality": "CT"}]', 2, /Filter 2: there is no “Modality”. Did you mean modality\?/],
    ['[{"min_agee": 3}]', 1, /Did you mean min_age\?/],
    ['[{"PatientID": "1"}]', 1, /A filter has mode, modality, .* and min_number/],
    ['[{"modality": "CT",\n"modality": "MR"}]', 2, /there twice/],
    ['[{"min_age": "18"}]', 1, /min_age is a whole number/],
    ['[{"min_age": 18.5}]', 1, /min_age is a whole number/],
    ['[{"min_age": 60,\n"max_age":\n 18}]', 2, /max_age: this is below/],
    ['[{"mode": "maybe"}]', 1, /"include" or "exclude"/],
    ['[{"apply_institution_on_study": "yes"}]', 1, /true or false/],
    [`[{"modality": "${'X'.repeat(17)}"}]`, 1, /at most 16 characters/],
    ['[{"series_description": "a\\x"}]', 1, /backslash/],
    ['['.repeat(50), 1, /too deeply/],
  ])('%j has a fault in line %i: %s', (text, line, says) => {
    const { filters, faults } = readJSON(text);
    expect(filters).toEqual([]);
    expect(faults[0]?.says).toMatch(says);
    expect(faults[0]?.line).toBe(line);
  });
  test('null and an empty text are as if they were not there', () => {
    const { filters } = readJSON('[{"modality": "", "min_age": null, "mode": null}]');
    expect(filters.map(filterOf)).toEqual([{ mode: 'include' }]);
  });
  test('is read as JSON.parse reads it, whatever it is', () => {
    const plain = (p: Placed): unknown =>
      p.kind === 'array'
        ? p.items.map(plain)
        : p.kind === 'object'
          ? Object.fromEntries(p.members.map((m) => [m.key, plain(m.value)]))
          : p.value;
    const bits = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"\\u00e9\\n"',
      '"\\q"',
      '-1',
      '01',
      '2.5e3',
      'true',
      'nul',
      ' ',
      '\n',
      '\u00a0',
    ];
    let seed = 7;
    const random = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n;
    const differ: string[] = [];
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from({ length: 1 + random(7) }, () => bits[random(bits.length)]).join('');
      let [mine, theirs] = ['refused', 'refused'];
      try {
        mine = JSON.stringify(plain(readPlaced(text)));
      } catch (error) {
        if (!(error instanceof Unread) || lineOf(text, error.at) < 1) throw error;
      }
      try {
        theirs = JSON.stringify(JSON.parse(text));
      } catch {
        // refused
      }
      if (mine !== theirs) differ.push(text);
    }
    expect(differ).toEqual([]);
  });
});

describe('days', () => {
  test('are counted over every change of the clock', () => {
    expect(partsIn({ first: '2024-01-01', last: '2024-12-31' }, 'daily')).toBe(366);
    expect(partsIn({ first: '2024-01-01', last: '2024-12-31' }, 'weekly')).toBe(53);
    expect(partsIn({ first: '2024-03-31', last: '2024-03-31' }, 'weekly')).toBe(1);
    expect(dayOf(dayNumber('2024-02-29'))).toBe('2024-02-29');
  });
  test('are read as people type them', () => {
    expect(readEnds({ first: '1.2.2024', last: '2024-02-29' })).toEqual({
      first: '2024-02-01',
      last: '2024-02-29',
    });
    expect(readEnds({ first: '2024-03-01', last: '2024-02-29' })).toBeNull();
    expect(readEnds({ first: '2023-02-29', last: '2024-02-29' })).toBeNull();
    expect(readEnds({ first: '', last: '2024-02-29' })).toBeNull();
  });
  test('have shortcuts', () => {
    expect(Object.fromEntries(shortcuts(new Date(2024, 2, 15)))).toEqual({
      'Last 7 days': { first: '2024-03-09', last: '2024-03-15' },
      'Last 30 days': { first: '2024-02-15', last: '2024-03-15' },
      'Last month': { first: '2024-02-01', last: '2024-02-29' },
      'This year': { first: '2024-01-01', last: '2024-03-15' },
      'Last year': { first: '2023-01-01', last: '2023-12-31' },
    });
  });
});

test('what will happen', () => {
  const year = { first: '2024-01-01', last: '2024-12-31' };
  expect(looksSays(year, 'daily', 'PACS-A')).toBe(
    '366 days are looked through at PACS-A, one after the other.',
  );
  expect(looksSays({ ...year, last: year.first }, 'weekly', 'PACS-A')).toBe(
    '1 week is looked through at PACS-A.',
  );
  const [ct, mr] = [newFilter({ modality: 'CT', minAge: '18' }), newFilter({ modality: 'MR' })];
  const [topograms, sr] = [
    newFilter({ exclude: true, series: 'Topo*' }),
    newFilter({ exclude: true, modality: 'SR' }),
  ];
  const says = (...filters: FilterForm[]) => {
    const { what, goes, except } = takesOf(filters);
    return `${what} ${goes} to RESEARCH${except}.`;
  };
  expect(says(ct)).toBe('CT series of adults go to RESEARCH.');
  expect(says(newFilter({ modality: 'CT', series: 'T2*' }))).toBe('CT series called “T2*” go to RESEARCH.');
  expect(says(ct, mr)).toBe('What fits one of 2 filters goes to RESEARCH.');
  expect(says(topograms, ct)).toBe('CT series of adults go to RESEARCH, except series called “Topo*”.');
  expect(says(ct, topograms, sr)).toBe(
    'CT series of adults go to RESEARCH, except what 2 filters leave out.',
  );
});

function partition(from: string, part: Partial<MassPartition> = {}): MassPartition {
  return {
    task_id: dayNumber(from),
    seq: 1,
    from,
    to: from,
    status: 'success',
    message: '',
    searched: 0,
    studies: 0,
    series: 0,
    instances: 0,
    ...part,
  };
}

const daily = (first: string, n: number) =>
  Array.from({ length: n }, (_, i) => partition(dayOf(dayNumber(first) + i)));
const weekly = (first: string, n: number) =>
  Array.from({ length: n }, (_, i) => {
    const from = dayNumber(first) + 7 * i;
    return partition(dayOf(from), { to: dayOf(from + 6) });
  });

describe('what a mass transfer has found', () => {
  const found = { patients: 812, studies: 1204, series: 2410, instances: 482_000, uncounted: 0 };
  const none = { all: 0, success: 0, warning: 0, failure: 0 };
  const mass = (
    looked: Partial<MassTasks>,
    partitions: MassTransfer['partitions'] = 'daily',
  ): MassTransfer => ({
    start_date: '2024-01-01',
    end_date: '2024-12-31',
    partitions,
    filters: [full],
    dry_run: true,
    found,
    looked: { ...none, ...looked },
    moved: none,
  });
  test('goes to the destination once it is begun', () => {
    expect(goesSays(found, true, 'RESEARCH')).toBe(
      '2,410 series of 1,204 studies, 482,000 images of 812 patients, go pseudonymized to RESEARCH.',
    );
    const one = { patients: 1, studies: 1, series: 1, instances: 40, uncounted: 1 };
    expect(goesSays(one, false, 'RESEARCH')).toBe(
      '1 series of 1 study, at least 40 images of 1 patient, go with their identity to RESEARCH.',
    );
  });
  test('may have gaps', () => {
    expect(gapsSays(mass({ success: 366 }))).toBe('');
    expect(gapsSays(mass({ failure: 1, warning: 3 }))).toBe(
      '1 day could not be looked through, and 3 days may have more: a retry looks again.',
    );
    expect(gapsSays(mass({ failure: 2 }, 'weekly'))).toMatch(/^2 weeks could not/);
  });
  test('days of a task', () => {
    expect(daysOf({ days: '2024-01-17' })).toBe('Wed 17 Jan 2024');
    expect(daysOf({ days: '2024-01-17/2024-01-23' })).toBe('17 to 23 Jan 2024');
    expect(daysOf({})).toBe('');
  });
  test('series are chosen by words, without regard to accents', () => {
    const v = { study_description: 'CT Schädel', series_description: 'Axial 2 mm', patient_id: 'PHANTOM-1' };
    const chosen = (text: string) =>
      chosenBy(text)({ ...v, accession_number: '', institution_name: '' } as MassVolume);
    expect(['', 'schadel axial', 'phantom', 'coronal'].map(chosen)).toEqual([true, true, true, false]);
  });
});

describe('the calendar', () => {
  test('has weeks across and weekdays down, and names months where they begin', () => {
    const [block, ...others] = blocksOf(daily('2024-01-01', 366), false, 60);
    expect(others).toEqual([]);
    expect([block?.label, block?.columns]).toEqual(['2024', 53]);
    expect(block?.cells[0]).toMatchObject({ column: 0, row: 0 }); // a Monday
    expect(block?.cells[6]).toMatchObject({ column: 0, row: 6 });
    expect(block?.cells.at(-1)).toMatchObject({ column: 52, row: 1 });
    expect(block?.months.map((m) => m.name).join(' ')).toBe(
      'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec',
    );
    expect(block?.months[1]?.column).toBe(4);
  });
  test('does not name a month that leaves no room for the next one', () => {
    const [block] = blocksOf(daily('2024-01-29', 40), false, 60);
    expect(block?.months.map((m) => m.name)).toEqual(['Feb', 'Mar']);
    expect(block?.label).toBe('2024');
  });
  test('has a block for each year, or as many weeks as there is room for', () => {
    const years = blocksOf(daily('2023-07-01', 600), false, 56);
    expect(years.map((b) => [b.label, b.cells.length])).toEqual([
      ['2023', 184],
      ['2024', 366],
      ['2025', 50],
    ]);
    const narrow = blocksOf(daily('2024-01-01', 366), false, 17);
    expect(narrow.map((b) => b.columns)).toEqual([17, 17, 17, 2]);
    expect(blocksOf([], false, 17)).toEqual([]);
  });
  test('has weeks one beside the other', () => {
    const [block] = blocksOf(weekly('2024-01-03', 53), true, 60);
    expect(block?.cells.map((c) => [c.column, c.row])).toEqual(Array.from({ length: 53 }, (_, i) => [i, 0]));
    expect([block?.label, block?.months.at(-1)?.name]).toEqual(['2024 – 2025', 'Jan']);
  });
  test('has shades', () => {
    const some = [partition('2024-01-01', { studies: 37, instances: 11_201 }), partition('2024-01-02')];
    expect([topOf(some, 'studies'), topOf(some, 'instances'), topOf(some, 'series')]).toEqual([
      40, 15_000, 5,
    ]);
    expect([0, 1, 8, 9, 40, 99].map((n) => levelOf(n, 40))).toEqual([0, 1, 1, 2, 5, 5]);
  });
  test('names days, and what they have', () => {
    expect(daysWords({ from: '2024-01-17', to: '2024-01-17' })).toBe('Wed 17 Jan 2024');
    expect(daysWords({ from: '2024-01-17', to: '2024-01-23' })).toBe('17 to 23 Jan 2024');
    expect(daysWords({ from: '2024-01-29', to: '2024-02-04' })).toBe('29 Jan to 4 Feb 2024');
    expect(daysWords({ from: '2023-12-29', to: '2024-01-04' })).toBe('29 Dec 2023 to 4 Jan 2024');
    const day = (part: Partial<MassPartition>) => foundSays(partition('2024-01-17', part));
    expect(day({ searched: 31, studies: 1, series: 9, instances: 1810 })).toBe(
      '1 study, 9 series, 1,810 images; 31 studies looked at',
    );
    expect(day({ searched: 31 })).toBe('nothing that fits; 31 studies looked at');
    expect(day({ status: 'pending' })).toBe('not looked through yet');
    expect(day({ status: 'failure' })).toBe('could not be looked through');
    expect(day({ status: 'warning', studies: 2, series: 2, instances: 9 })).toBe(
      '2 studies, 2 series, 9 images; there may be more',
    );
  });
  test('is walked through by keys', () => {
    const days = daily('2024-01-01', 30);
    const to = (key: string, at: number) => step(key, at, days, false);
    expect([to('ArrowRight', 3), to('ArrowLeft', 3), to('ArrowDown', 3), to('ArrowUp', 0)]).toEqual([
      10, 0, 4, 0,
    ]);
    expect([to('Home', 9), to('End', 9), to('PageDown', 9), to('x', 9)]).toEqual([0, 29, 29, undefined]);
    expect(step('ArrowRight', 3, days, true)).toBe(4);
    expect(step('ArrowDown', 3, days, true)).toBe(3);
  });
});
