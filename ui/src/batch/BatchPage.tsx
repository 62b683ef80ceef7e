// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { IconFileSpreadsheet } from '@tabler/icons-react';
import type { useQuery } from '@tanstack/react-query';
import { lazy, type ReactNode, Suspense, useId } from 'react';

import type { BatchPreview } from '../api';
import { LinkButton } from '../components/LinkButton';
import { DropZone } from '../components/DropZone';
import { Note, Page } from '../components/layout';
import { Failed, Loading } from '../components/states';
import { Badge } from '../components/status';
import { count } from '../format/numbers';
import c from './Batch.module.css';
import type { Loaded } from './file';
import type { BatchKind } from './kept';
import { holdsSays, readSays, verdictOf } from './preview';
import { Sample } from './Sample';
import { type Reading, useTaking } from './useCheck';

const FaultGrid = lazy(() => import('./FaultGrid'));

type BatchPageProps = {
  kind: BatchKind;
  title: string;
  help: ReactNode;
  file: Loaded | undefined;
  check: ReturnType<typeof useQuery<BatchPreview>>;
  /** What it was checked with. */
  reading: Reading;
  /** What the first row of a file must name, for who has none yet. */
  needs: string;
  /** What is chosen for the job. */
  choices: ReactNode;
  /** What a job would do, once nothing is missing. */
  will: ReactNode;
  /** What has to be chosen yet; empty: nothing. */
  missing: string;
  create: { words?: string; start: () => void; running: boolean; error: Error | null };
  discard: () => void;
};

/** BatchPage takes a file, says what is in it and what is wrong with it, and makes a job of it. */
export function BatchPage(props: BatchPageProps) {
  const { kind, title, help, file, check, reading, needs, choices, will, missing, create, discard } = props;
  const { fault, take } = useTaking(kind);
  const preview = file && !check.isError ? check.data : undefined;
  const checking = file !== undefined && check.isFetching;
  const faults = preview?.fault_count ?? 0;
  const why = whyNot({ file, preview, checking, faults, missing });
  const id = useId();
  const submit = () => {
    if (!why && !create.running) create.start();
  };
  useHotkeys([['mod+Enter', submit]], []);
  return (
    <Page
      title={title}
      after={help}
      actions={
        <LinkButton to="/jobs" search={{ kind }} variant="subtle" size="compact-sm">
          Previous jobs
        </LinkButton>
      }
    >
      <div className={c.body}>
        <DropZone
          icon={<IconFileSpreadsheet size={30} stroke={1.4} aria-hidden />}
          accept=".xlsx,.csv,.txt,.tsv"
          button={buttonWords(file, faults)}
          quiet={preview !== undefined && faults === 0}
          loading={checking}
          onFiles={take}
        >
          <InZone file={file} preview={preview} kind={kind} needs={needs} />
        </DropZone>
        {fault && (
          <Note tone="failure" role="alert">
            {fault}
          </Note>
        )}
        {choices}
        {file && check.error && !checking && (
          <Failed error={check.error} retry={() => void check.refetch()} />
        )}
        <div role="status">{preview && !checking && <Verdict preview={preview} kind={kind} />}</div>
        {file && !preview && checking && <Loading rows={6} label="Reading the file" />}
        {file && preview && (
          <Suspense fallback={<Loading rows={6} label="" />}>
            <FaultGrid key={file.number} preview={preview} of={{ kind, file, reading }} />
          </Suspense>
        )}
        {create.error && <Failed error={create.error} />}
      </div>
      <div className={c.foot} data-foot>
        <p className={c.why} id={id}>
          {why ? <span className="dim">{why}</span> : will}{' '}
          {faults > 0 && <Badge tone="failure">{count(faults)} left</Badge>}
        </p>
        {file && (
          <Button variant="default" onClick={discard}>
            Discard file
          </Button>
        )}
        <Button
          onClick={submit}
          disabled={Boolean(why)}
          loading={create.running}
          aria-describedby={id}
          title="Ctrl + Enter"
        >
          {create.words ?? 'Create job'}
        </Button>
      </div>
    </Page>
  );
}

type State = Pick<BatchPageProps, 'file' | 'missing'> & {
  preview: BatchPreview | undefined;
  checking: boolean;
  faults: number;
};

/** whyNot says why no job can be made yet; empty: one can. */
function whyNot({ file, preview, checking, faults, missing }: State): string {
  if (!file) return 'Choose or drop a file. Nothing is created before you say so.';
  if (checking) return 'Reading the file…';
  if (!preview) return 'A job can be created when the file can be read.';
  if (faults > 0) return 'A job can be created when the file has no fault.';
  if (preview.rows === 0) return 'The file has no rows.';
  return missing;
}

function buttonWords(file: Loaded | undefined, faults: number): string {
  if (!file) return 'Choose a file';
  return faults > 0 ? 'Choose the corrected file' : 'Choose another file';
}

type InZoneProps = Pick<BatchPageProps, 'file' | 'kind' | 'needs'> & { preview: BatchPreview | undefined };

function InZone({ file, preview, kind, needs }: InZoneProps) {
  if (!file) {
    return (
      <>
        <p>
          <b className="strong">Drop an Excel or CSV file here</b>
        </p>
        <p className="small dim">
          {needs} Begin with a sample: <Sample kind={kind} format="xlsx" />,{' '}
          <Sample kind={kind} format="csv" />
        </p>
      </>
    );
  }
  return (
    <>
      <p>
        <b className="strong">{file.name}</b>
        {preview && <span className="dim"> · {holdsSays(preview)}</span>}
      </p>
      <p className="small dim">
        {preview && preview.fault_count > 0
          ? 'Correct it in your spreadsheet, save it, and drop it here again. What you chose below stays.'
          : preview && readSays(preview)}
      </p>
    </>
  );
}

function Verdict({ preview, kind }: { preview: BatchPreview; kind: BatchKind }) {
  const { fine, title, says } = verdictOf(preview, kind);
  return (
    <Note tone={fine ? 'success' : 'failure'}>
      <b>{title}</b> {says}
    </Note>
  );
}
