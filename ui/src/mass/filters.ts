// SPDX-License-Identifier: AGPL-3.0-or-later

import { count, counted } from '../format/numbers';
import type { MassFilter } from '../api';

/** FilterForm is a filter as a card holds it: what was typed, right or wrong. */
export type FilterForm = {
  /** Tells cards apart. */
  id: number;
  exclude: boolean;
  modality: string;
  institution: string;
  /** All series of a study fit the institution if one of them does. */
  onStudy: boolean;
  study: string;
  series: string;
  number: string;
  minAge: string;
  maxAge: string;
  minImages: string;
};

/** Field is something that is typed into a card. */
export type Field = Exclude<keyof FilterForm, 'id' | 'exclude' | 'onStudy'>;

let cards = 0;

/** newFilter is a card, empty but for what is given. */
export function newFilter(part: Partial<FilterForm> = {}): FilterForm {
  return {
    exclude: false,
    modality: '',
    institution: '',
    onStudy: true,
    study: '',
    series: '',
    number: '',
    minAge: '',
    maxAge: '',
    minImages: '',
    ...part,
    id: ++cards,
  };
}

const typed: Field[] = [
  'modality',
  'institution',
  'study',
  'series',
  'number',
  'minAge',
  'maxAge',
  'minImages',
];

/** isEmpty reports whether a card asks for nothing. */
export function isEmpty(f: FilterForm): boolean {
  return typed.every((field) => f[field].trim() === '');
}

const text = (n: number | undefined) => (n === undefined ? '' : String(n));

/** cardOf is the card of a filter. */
export function cardOf(f: MassFilter): FilterForm {
  return newFilter({
    exclude: f.mode === 'exclude',
    modality: f.modality ?? '',
    institution: f.institution_name ?? '',
    onStudy: f.apply_institution_on_study ?? true,
    study: f.study_description ?? '',
    series: f.series_description ?? '',
    number: text(f.series_number),
    minAge: text(f.min_age),
    maxAge: text(f.max_age),
    minImages: text(f.min_number_of_series_related_instances),
  });
}

const given = (value: string) => value.trim() || undefined;
const number = (value: string) => (value.trim() === '' ? undefined : Number(value));

/** filterOf is the filter of a card without faults, without what is not given. */
export function filterOf(f: FilterForm): MassFilter {
  const institution = given(f.institution);
  const all: Record<keyof MassFilter, unknown> = {
    mode: f.exclude ? 'exclude' : 'include',
    modality: given(f.modality),
    institution_name: institution,
    apply_institution_on_study: institution && !f.exclude && !f.onStudy ? false : undefined,
    study_description: given(f.study),
    series_description: given(f.series),
    series_number: number(f.number),
    min_age: number(f.minAge),
    max_age: number(f.maxAge),
    min_number_of_series_related_instances: number(f.minImages),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

export const mostFilters = 1000;
export const longest = { modality: 16, institution: 64, study: 64, series: 64 };
export const oldest = 200;
const most = 2_147_483_647;

/** within says that a text is no whole number from one to another; empty: it is one, or nothing. */
function within(value: string, least: number, greatest: number): string {
  const t = value.trim();
  if (t === '') return '';
  if (!/^-?\d{1,10}$/.test(t)) return 'This is not a whole number.';
  const n = Number(t);
  if (n < least) return `It is at least ${least}.`;
  return n > greatest ? `It is at most ${count(greatest)}.` : '';
}

export type Faults = Partial<Record<Field, string>>;

/** faultsOf says what is wrong with a card, field by field. */
export function faultsOf(f: FilterForm): Faults {
  const modality = f.modality.trim();
  const faults: Faults = {
    modality: /^[A-Z0-9_ ]*$/i.test(modality) ? '' : 'One modality, such as CT: make a filter for each.',
    number: within(f.number, -most - 1, most),
    minAge: within(f.minAge, 0, oldest),
    maxAge: within(f.maxAge, 0, oldest),
    minImages: within(f.minImages, 1, most),
  };
  const [least, greatest] = [number(f.minAge), number(f.maxAge)];
  if (!faults.minAge && !faults.maxAge && least !== undefined && greatest !== undefined && least > greatest)
    faults.maxAge = 'This is below the minimum age.';
  return Object.fromEntries(Object.entries(faults).filter(([, words]) => words));
}

/** filtersFault says why the filters can't be used; empty: they can. */
export function filtersFault(filters: FilterForm[]): string {
  if (filters.length > mostFilters)
    return `${counted(filters.length, 'filter')} are too many: ${count(mostFilters)} go into one job.`;
  const wrong = filters.findIndex((f) => Object.keys(faultsOf(f)).length > 0);
  if (wrong >= 0) return `Correct filter ${wrong + 1}.`;
  const empty = filters.findIndex((f) => f.exclude && isEmpty(f));
  if (empty >= 0) return `Filter ${empty + 1} leaves out everything. Say what it leaves out, or remove it.`;
  return filters.some((f) => !f.exclude) ? '' : 'Add a filter that includes something.';
}

function aged(min: string, max: string): string {
  if (min === '18' && max === '') return ' of adults';
  if (min && min === max) return ` of patients aged ${min}`;
  if (min && max) return ` of patients aged ${min} to ${max}`;
  if (min) return ` of patients aged ${min} and over`;
  return max ? ` of patients aged up to ${max}` : '';
}

/** filterSays says in words what fits a card: "CT series of adults in studies called “*head*”". */
export function filterSays(f: FilterForm): string {
  const t = Object.fromEntries(typed.map((field) => [field, f[field].trim()])) as Record<Field, string>;
  const [modality, age] = [t.modality.toUpperCase(), aged(t.minAge, t.maxAge)];
  const subject = modality ? `${modality} series` : isEmpty(f) ? 'All series' : 'Series';
  const ofStudy = t.institution !== '' && f.onStudy && !f.exclude;
  const called = t.series && ` called “${t.series}”`;
  const at = t.institution && !ofStudy ? ` at “${t.institution}”` : '';
  const parts = [`${subject}${age}${called}${at}`];
  if (t.number) parts.push(`number ${t.number}`);
  if (t.minImages) parts.push(`with at least ${counted(Number(t.minImages) || 0, 'image')}`);
  const says = parts.join(', ');
  if (!t.study && !ofStudy) return says;
  const study = `in studies${t.study && ` called “${t.study}”`}${ofStudy ? ` at “${t.institution}”` : ''}`;
  return `${says}${parts.length > 1 ? ',' : ''} ${study}`;
}

/** joined adds filters to cards: an empty card gives way, and what is there already is not added again. */
export function joined(cards: FilterForm[], filters: MassFilter[]): { cards: FilterForm[]; added: number } {
  const kept = cards.filter((f) => !isEmpty(f));
  const known = new Set(kept.map((f) => JSON.stringify(filterOf(f))));
  const added: FilterForm[] = [];
  for (const filter of filters) {
    const card = cardOf(filter);
    const key = JSON.stringify(filterOf(card));
    if (!known.has(key)) added.push(card);
    known.add(key);
  }
  return { cards: [...kept, ...added], added: added.length };
}
