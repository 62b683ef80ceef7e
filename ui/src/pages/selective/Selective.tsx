// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useRef, useState, useSyncExternalStore } from 'react';

import type { Node } from '../../api';
import { Allowed } from '../../components/Allowed';
import { usePageTitle } from '../../components/layout';
import { earlier, nothing } from '../../components/selection';
import { Failed, Loading } from '../../components/states';
import { useSeries } from '../../search/series';
import { goneSays } from '../../servers/outlook';
import { fullName, nodesKey, useNodes } from '../../servers/queries';
import { usePreferences } from '../../session/me';
import { Ends } from './Ends';
import { SelectiveHelp } from './HelpText';
import { kept, search } from './kept';
import { briefly, type Form, queryOf } from './query';
import { ResultsHead } from './ResultsHead';
import { SearchForm } from './SearchForm';
import c from './Selective.module.css';

// It is needed when something is picked.
const StudyTable = lazy(() => {
  void import('./Dock'); // picks follow soon
  return import('../../components/StudyTable');
});
const Dock = lazy(() => import('./Dock'));

const title = 'Selective Transfer';

export default function Selective() {
  return (
    <Allowed permission="selective_transfer" module={title}>
      <Opened />
    </Allowed>
  );
}

/** Opened waits for the servers and folders, without which the page can do nothing. */
function Opened() {
  const nodes = useNodes();
  usePageTitle(title);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <div className={c.page}>
      <header className={c.head}>
        <h1 tabIndex={-1} ref={heading}>
          {title}
        </h1>
        <SelectiveHelp />
        <div className="grow" />
        <Button component={Link} to="/jobs" variant="subtle" size="compact-sm" className={c.previous}>
          Previous jobs
        </Button>
      </header>
      {nodes.data && <Transfer nodes={nodes.data} />}
      {nodes.error && (
        <div className={c.padded}>
          <Failed error={nodes.error} retry={() => void nodes.refetch()} />
        </div>
      )}
      {nodes.isPending && <Loading rows={8} label="Loading servers and folders" />}
    </div>
  );
}

/**
 * useEnds gives source and destination: of the address, else those that were chosen last. One that is gone is chosen no
 * longer, and named.
 */
function useEnds(nodes: Node[]) {
  const address = useSearch({ from: '/inside/shell/selective-transfer' });
  const go = useNavigate({ from: '/selective-transfer' });
  const [preferences, prefer] = usePreferences();
  const sources = nodes.filter((n) => n.source && n.kind === 'server');
  const destinations = nodes.filter((n) => n.destination);
  const wanted = {
    source: address.source ?? preferences.last_source,
    destination: address.destination ?? preferences.last_destination,
  };
  const source = sources.find((n) => n.name === wanted.source);
  const destination = destinations.find((n) => n.name === wanted.destination);
  const choose = (end: 'source' | 'destination', name: string) => {
    void go({ search: (now) => ({ ...now, [end]: name }), replace: true });
    prefer(end === 'source' ? { last_source: name } : { last_destination: name });
  };
  return {
    sources,
    destinations,
    source: source ?? (sources.length === 1 ? sources[0] : undefined),
    destination,
    gone: goneSays(source ? '' : wanted.source, destination ? '' : wanted.destination),
    choose,
  };
}

function Transfer({ nodes }: { nodes: Node[] }) {
  const { sources, destinations, source, destination, gone, choose } = useEnds(nodes);
  const client = useQueryClient();
  const [form, setForm] = useState(kept.form);
  const [selection, setSelection] = useState(kept.selection);
  const [open, setOpen] = useState(kept.open);
  const [editing, edit] = useState(search.now().phase === 'idle');
  const [dropped, setDropped] = useState(0);
  const found = useSyncExternalStore(search.watch, search.now);
  const name = source?.name ?? '';
  const [series, load] = useSeries(name);

  useEffect(() => {
    Object.assign(kept, { form, selection, open });
  }, [form, selection, open]);
  useEffect(() => () => search.stop(), []);
  // Studies that stay unfolded while one is away have to show their series again.
  useEffect(() => {
    for (const row of search.now().studies) {
      if (kept.open.has(`${row.study_instance_uid} ${row.patient_id}`)) load(row);
    }
  }, [load]);

  // What was found and picked is of one source, however another one came into the address.
  const of = useRef(kept.source || name);
  useEffect(() => {
    if (of.current !== name && of.current) {
      setDropped(kept.selection.size);
      setSelection(nothing);
      setOpen(new Set());
      search.clear();
    }
    of.current = name;
    kept.source = name;
  }, [name]);

  // A server that does not know the source any more may tell of one that was removed, or of a right that was lost.
  const refused = found.phase === 'failed' && [403, 404, 422].includes(found.problem?.status ?? 0);
  useEffect(() => {
    if (refused) void client.invalidateQueries({ queryKey: nodesKey });
  }, [refused, client]);

  const start = (wanted: Form) => {
    const asked = queryOf(wanted);
    if (!('query' in asked) || !source) return;
    setDropped(0);
    setOpen(new Set());
    edit(false);
    search.start(source.name, asked.query);
  };
  const running = found.phase === 'running' || found.phase === 'busy';
  return (
    <>
      <div className={c.brief}>
        <span className="grow">
          <b className="strong">
            {source?.name ?? 'No source'} → {destination?.name ?? 'no destination'}
          </b>
          <br />
          <span className="dim">{briefly(form)}</span>
        </span>
        <Button variant="default" size="compact-sm" aria-expanded={editing} onClick={() => edit(!editing)}>
          {editing ? 'Hide search' : 'Change search'}
        </Button>
      </div>
      <div className={c.top} data-editing={editing || undefined}>
        <Ends
          sources={sources}
          destinations={destinations}
          source={source}
          destination={destination}
          gone={gone}
          choose={choose}
        />
        <SearchForm
          form={form}
          onForm={setForm}
          source={source}
          running={running}
          onSearch={() => start(form)}
          onStop={() => search.stop()}
        />
      </div>
      <section
        className={c.results}
        aria-label="Results"
        onKeyDown={(e) => {
          if (e.key === 'Escape' && running) search.stop();
        }}
      >
        <ResultsHead
          found={found}
          source={source?.name}
          dropped={dropped}
          earlier={earlier(selection, found.studies)}
          again={() => start(form)}
        />
        {found.studies.length > 0 && (
          <Suspense fallback={<Loading rows={8} label="" />}>
            <StudyTable
              studies={found.studies}
              series={series}
              load={load}
              open={open}
              onOpen={setOpen}
              selection={selection}
              onSelection={setSelection}
            />
          </Suspense>
        )}
        {found.phase === 'running' && found.studies.length === 0 && <Loading rows={8} label="" />}
      </section>
      {selection.size > 0 && source && (
        <Suspense fallback={null}>
          <Dock
            selection={selection}
            source={source.name}
            destination={destination && { name: destination.name, words: fullName(destination) }}
            clear={() => setSelection(nothing)}
          />
        </Suspense>
      )}
    </>
  );
}
