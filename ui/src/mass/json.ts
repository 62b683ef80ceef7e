// SPDX-License-Identifier: AGPL-3.0-or-later

import { listed } from '../batch/preview';
import { cardOf, type Faults, faultsOf, type FilterForm, filterOf, longest, mostFilters } from './filters';
import { lineOf, type Placed, readPlaced, Unread } from './places';
import type { MassFilter } from '../api';

type Kind = 'text' | 'number' | 'truth' | 'mode';

const keys: Record<keyof MassFilter, { kind: Kind; longest?: number; field?: keyof Faults }> = {
  mode: { kind: 'mode' },
  modality: { kind: 'text', longest: longest.modality, field: 'modality' },
  institution_name: { kind: 'text', longest: longest.institution },
  apply_institution_on_study: { kind: 'truth' },
  study_description: { kind: 'text', longest: longest.study },
  series_description: { kind: 'text', longest: longest.series },
  series_number: { kind: 'number', field: 'number' },
  min_age: { kind: 'number', field: 'minAge' },
  max_age: { kind: 'number', field: 'maxAge' },
  min_number_of_series_related_instances: { kind: 'number', field: 'minImages' },
};

const known = (key: string): key is keyof MassFilter => Object.hasOwn(keys, key);

/** JSONFault is what is wrong with the JSON of filters, and where. */
export type JSONFault = { says: string; line: number; at: number };

/** jsonOf writes cards as JSON, one line for each of their properties. */
export function jsonOf(filters: FilterForm[]): string {
  return JSON.stringify(filters.map(filterOf), null, 2);
}

/** readJSON reads filters; of a text with faults there are none. */
export function readJSON(text: string): { filters: FilterForm[]; faults: JSONFault[] } {
  const faults: JSONFault[] = [];
  const fault = (at: number, says: string) => faults.push({ says, at, line: lineOf(text, at) });
  const filters: FilterForm[] = [];
  try {
    const root = readPlaced(text);
    if (root.kind !== 'array') fault(root.at, 'The filters stand in a list: […].');
    else {
      if (root.items.length > mostFilters) fault(root.at, `There are more than ${mostFilters} filters.`);
      root.items.slice(0, mostFilters).forEach((item, i) => {
        const read = readOne(item, (at, says) => fault(at, `Filter ${i + 1}: ${says}`));
        if (read) filters.push(cardOf(read));
      });
    }
  } catch (error) {
    if (!(error instanceof Unread)) throw error;
    fault(error.at, `${error.message}.`);
  }
  return { filters: faults.length > 0 ? [] : filters, faults };
}

function readOne(item: Placed, fault: (at: number, says: string) => void): MassFilter | undefined {
  if (item.kind !== 'object') {
    fault(item.at, 'it stands in braces: {…}.');
    return undefined;
  }
  const read: Record<string, unknown> = {};
  const at = new Map<string, number>();
  for (const { key, at: place, value } of item.members) {
    if (!known(key)) {
      fault(place, `there is no “${key}”. ${hint(key)}`);
      continue;
    }
    if (at.has(key)) fault(place, `“${key}” is there twice.`);
    at.set(key, place);
    const says = wrong(key, value);
    if (says) fault(value.at, `${key} ${says}`);
    else if (value.kind === 'scalar' && value.value !== null && value.value !== '') read[key] = value.value;
  }
  const found = faultsOf(cardOf(read));
  for (const [key, { field }] of Object.entries(keys)) {
    const says = field && found[field];
    if (says) fault(at.get(key) ?? item.at, `${key}: ${says.charAt(0).toLowerCase()}${says.slice(1)}`);
  }
  return read;
}

/** wrong says why a value can't be that of a key; empty: it can. null: as if it was not there. */
function wrong(key: keyof MassFilter, placed: Placed): string {
  const { kind, longest = 0 } = keys[key];
  const value = placed.kind === 'scalar' ? placed.value : undefined;
  if (value === null) return '';
  switch (kind) {
    case 'mode':
      return value === 'include' || value === 'exclude' ? '' : 'is "include" or "exclude".';
    case 'truth':
      return typeof value === 'boolean' ? '' : 'is true or false.';
    case 'number':
      return typeof value === 'number' && Number.isInteger(value) ? '' : 'is a whole number.';
    case 'text':
      if (typeof value !== 'string') return 'is a text in double quotes.';
      return value.length > longest ? `is at most ${longest} characters long.` : '';
  }
}

/** hint names the key that was most likely meant, or all of them. */
function hint(key: string): string {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z]/g, '');
  const meant = Object.keys(keys).find((k) => plain(k) === plain(key) || distance(k, key) <= 2);
  return meant ? `Did you mean ${meant}?` : `A filter has ${listed(Object.keys(keys))}.`;
}

/** distance counts the letters in which two words differ: put in, left out or replaced. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      row.push(Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + same));
    }
  }
  return row[b.length] ?? 0;
}
