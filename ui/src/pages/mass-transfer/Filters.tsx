// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Fragment, lazy, Suspense, useEffect, useRef, useState } from 'react';

import { sizeFault, toBase64 } from '../../batch/file';
import { Choice } from '../../components/Choice';
import { FileButton, useDrop } from '../../components/DropZone';
import { Note, Section } from '../../components/layout';
import { useWindowRows } from '../../components/rows';
import { Failed, Loading } from '../../components/states';
import { count, counted } from '../../format/numbers';
import { type FilterForm, joined, newFilter } from '../../mass/filters';
import { jsonOf } from '../../mass/json';
import type { MassForm } from '../../mass/kept';
import { readMassFilters } from '../../api';
import { FilterCard } from './FilterCard';
import c from './MassTransfer.module.css';

const FilterText = lazy(() => import('./FilterText'));

type FiltersProps = { form: MassForm; change: (part: Partial<MassForm>) => void };

/** Filters choose which series are taken: as cards, or as JSON. */
export default function Filters({ form, change }: FiltersProps) {
  const { filters, json } = form;
  const table = useTable(filters, (cards) =>
    change({ filters: cards, json: json === undefined ? undefined : jsonOf(cards), wrong: false }),
  );
  const over = useDrop(table.take);
  return (
    <Section
      title={
        <>
          What is taken
          {filters.length > 1 && <span className={c.number}> · {count(filters.length)} filters</span>}
        </>
      }
      right={
        <>
          <FileButton
            accept=".xlsx,.csv,.txt,.tsv"
            button="From a table…"
            quiet
            size="compact-sm"
            loading={table.reading}
            onFiles={table.take}
          />
          <Choice
            small
            label="Filters as"
            data={[
              { value: 'cards', label: 'Cards', disabled: form.wrong },
              { value: 'json', label: 'JSON' },
            ]}
            value={json === undefined ? 'cards' : 'json'}
            onChange={(value) =>
              change({ json: value === 'json' ? jsonOf(filters) : undefined, wrong: false })
            }
          />
        </>
      }
    >
      <div className={c.filters} data-over={over || undefined}>
        <p className="small dim">
          A series is taken if it fits a filter that includes, and none that excludes. Texts match as a whole;
          capitals and accents don’t matter. <span className="nowrap">* stands</span> for any characters,{' '}
          <span className="nowrap">? for one.</span>
        </p>
        <Told {...table} />
        {json === undefined ? (
          <Cards filters={filters} change={(cards) => change({ filters: cards })} />
        ) : (
          <Suspense fallback={<Loading rows={5} />}>
            <FilterText text={json} change={change} filters={filters} />
          </Suspense>
        )}
      </div>
    </Section>
  );
}

/** Taken is what came of a table: how many filters it has, how many of them are new, and what was there before. */
type Taken = { read: number; added: number; before: FilterForm[]; after: FilterForm[] };

/** useTable makes filters out of a table that somebody chose or dropped. */
function useTable(filters: FilterForm[], put: (cards: FilterForm[]) => void) {
  const [fault, setFault] = useState('');
  const [taken, keep] = useState<Taken>();
  const read = useMutation({
    mutationFn: async (file: File) => {
      const base64 = await toBase64(file);
      return (await readMassFilters({ body: { file: base64 } })).data.filters;
    },
    onSuccess: (found) => {
      const { cards, added } = joined(filters, found);
      keep({ read: found.length, added, before: filters, after: cards });
      put(cards);
    },
  });
  const take = ([file, ...others]: File[]) => {
    if (!file) return;
    const wrong = others.length > 0 ? 'Choose one table at a time.' : sizeFault(file.size, false);
    setFault(wrong);
    keep(undefined);
    read.reset();
    if (!wrong) read.mutate(file);
  };
  const undo = () => {
    if (taken) put(taken.before);
    keep(undefined);
  };
  // What was changed since is not taken back.
  return {
    take,
    undo,
    fault,
    reading: read.isPending,
    taken: taken?.after === filters ? taken : undefined,
    error: read.error,
  };
}

type ToldProps = Pick<ReturnType<typeof useTable>, 'fault' | 'taken' | 'error' | 'undo'>;

/** Told says what came of a table. */
function Told({ fault, taken, error, undo }: ToldProps) {
  return (
    <>
      {fault && (
        <Note tone="failure" role="alert">
          {fault}
        </Note>
      )}
      <Failed error={error} />
      <div role="status">
        {taken && (
          <Note tone="success">
            <span className="row wrap">
              <span>
                {counted(taken.read, 'filter')} read from the table
                {taken.added < taken.read && `, ${count(taken.added)} of them new`}.
              </span>
              <Button variant="subtle" size="compact-sm" onClick={undo}>
                Undo
              </Button>
            </span>
          </Note>
        )}
      </div>
    </>
  );
}

type CardsProps = { filters: FilterForm[]; change: (filters: FilterForm[]) => void };

const cardHeight = 48; // pixels, of one that is folded

function Cards({ filters, change }: CardsProps) {
  const [opened, open] = useState<number | undefined>(() =>
    filters.length === 1 ? filters[0]?.id : undefined,
  );
  const made = useRef<number>(undefined); // the card that takes the focus
  const { list, places, after, measure } = useWindowRows<HTMLUListElement>({
    count: filters.length,
    height: () => cardHeight,
    keyOf: (i) => filters[i]?.id ?? i,
  });
  useEffect(() => {
    if (made.current === undefined) return;
    list.current
      ?.querySelector<HTMLElement>(`[data-card='${made.current}'] input:not([type=radio])`)
      ?.focus();
    made.current = undefined;
  });
  const add = (card: FilterForm, at: number) => {
    change([...filters.slice(0, at), card, ...filters.slice(at)]);
    open(card.id);
    made.current = card.id;
  };
  const remove = (at: number) => {
    const next = filters.filter((_, i) => i !== at);
    change(next.length > 0 ? next : [newFilter()]);
    // The focus goes to a card that stays, before its own is gone.
    const beside = filters[at - 1] ?? filters[at + 1];
    list.current?.querySelector<HTMLElement>(`[data-card='${beside?.id}'] [data-toggle]`)?.focus();
  };
  return (
    <>
      <ul ref={list} className={c.cards} aria-label="Filters">
        {places.map(({ index, gap }) => {
          const card = filters[index];
          return (
            card && (
              <Fragment key={card.id}>
                {gap > 0 && <li aria-hidden style={{ height: gap }} />}
                <li ref={measure} data-index={index} data-card={card.id}>
                  <FilterCard
                    card={card}
                    number={index + 1}
                    opened={opened === card.id}
                    toggle={() => open(opened === card.id ? undefined : card.id)}
                    change={(part) => change(filters.map((f) => (f.id === card.id ? { ...f, ...part } : f)))}
                    copy={() => add(newFilter(card), index + 1)}
                    remove={filters.length > 1 ? () => remove(index) : undefined}
                  />
                </li>
              </Fragment>
            )
          );
        })}
        {after > 0 && <li aria-hidden style={{ height: after }} />}
      </ul>
      <div>
        <Button
          variant="subtle"
          size="compact-sm"
          leftSection={<IconPlus size={15} aria-hidden />}
          onClick={() => add(newFilter(), filters.length)}
        >
          Add a filter
        </Button>
      </div>
    </>
  );
}
