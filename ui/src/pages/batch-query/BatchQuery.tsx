// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconCheck, IconServer2 } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';

import { createBatchQuery, type Node } from '../../api';
import c from '../../batch/Batch.module.css';
import { BatchPage } from '../../batch/BatchPage';
import { aboutOf, Dates, ForJob, ProjectChoice, useProject } from '../../batch/Choices';
import { useBatch } from '../../batch/kept';
import { useMail } from '../../batch/mail';
import { listed } from '../../batch/preview';
import { useCheck } from '../../batch/useCheck';
import { sourcesOf, useBatchAddress } from '../../batch/useEnds';
import { Allowed } from '../../components/Allowed';
import { Help } from '../../components/Help';
import { Page } from '../../components/layout';
import { Failed, Loading } from '../../components/states';
import { counted } from '../../format/numbers';
import { useRequestKey, useShowMade } from '../../jobs/create';
import { useHaveRun } from '../../recurring/useHaveRun';
import { fullName, nodesKey, useNodes } from '../../servers/queries';

const AsksWhen = lazy(() => import('./AsksWhen'));
const QueryHelp = lazy(() => import('./QueryHelp'));
const RunAgain = lazy(() => import('../../recurring/RunAgain'));

const title = 'Batch Query';

export default function BatchQuery() {
  return (
    <Allowed permission="batch_query" module={title}>
      <Opened />
    </Allowed>
  );
}

function Opened() {
  const { data, error, refetch } = useNodes();
  if (data) return <Query servers={sourcesOf(data)} />;
  return (
    <Page title={title} after={<HelpButton />}>
      {error ? <Failed error={error} retry={() => void refetch()} /> : <Loading rows={6} />}
    </Page>
  );
}

const kind = 'batch_query';

function Query({ servers }: { servers: Node[] }) {
  const { form, file, change, discard, clear } = useBatch(kind);
  const [address, changeAddress] = useBatchAddress('/batch-query');
  const { project } = useProject(address.project);
  const mail = useMail(form);
  const reading = { dates: form.dates };
  const check = useCheck(kind, file, reading);
  const named = address.source?.split(',') ?? [];
  const only = servers.length === 1 ? servers[0]?.name : undefined;
  const sources = servers.map((s) => s.name).filter((name) => name === only || named.includes(name));
  const start = useStart(clear);
  const recur = useHaveRun(clear);
  const plan = form.again?.plan;
  const missing =
    (sources.length === 0 && 'Choose at least one source.') ||
    (!project && 'Choose a project.') ||
    (form.again && !plan && 'Correct when it runs.') ||
    '';
  const toggle = (name: string, on: boolean) => {
    const next = servers.map((s) => s.name).filter((n) => (n === name ? on : sources.includes(n)));
    changeAddress({ source: next.join(',') });
  };
  const create = () => {
    if (!file || !project) return;
    const query = {
      ...aboutOf(form, project.name, mail),
      dates: form.dates ? form.dates : undefined,
      sources,
      file: file.base64,
    };
    if (plan) recur.mutate({ ...plan, query });
    else start.mutate({ number: file.number, body: query });
  };
  return (
    <BatchPage
      kind={kind}
      title={title}
      help={<HelpButton />}
      file={file}
      check={check}
      reading={reading}
      needs="Its first row names the columns, such as PatientID and Modality."
      choices={
        <>
          <ForJob title="For this file" form={form} change={change}>
            <Sources
              {...{ servers, sources, toggle }}
              later={form.again !== undefined}
              gone={named.filter((n) => !servers.some((s) => s.name === n))}
            />
            <ProjectChoice project={project} choose={(name) => changeAddress({ project: name })} />
            <Dates form={form} change={change} />
          </ForJob>
          <Suspense fallback={null}>
            <RunAgain again={form.again} change={change} />
          </Suspense>
        </>
      }
      missing={missing}
      will={
        <>
          <b className="strong">
            {plan && `${form.again?.says}: `}
            {counted(check.data?.tasks ?? 0, 'search', 'searches')}
          </b>{' '}
          at {sources.length > 1 && 'each of '}
          {listed(sources)}
          {sources.length > 1 && ', a job for each'}. Nothing is transferred.
        </>
      }
      create={
        plan
          ? { words: 'Have it run again', start: create, running: recur.isPending, error: recur.error }
          : { start: create, running: start.isPending, error: start.error }
      }
      discard={discard}
    />
  );
}

type Made = { number: number; body: Parameters<typeof createBatchQuery>[0]['body'] };

/** useStart makes the jobs, and shows the first one. */
function useStart(done: () => void) {
  const client = useQueryClient();
  const keyOf = useRequestKey();
  const show = useShowMade();
  return useMutation({
    mutationFn: async ({ number, body }: Made) => {
      const key = keyOf(JSON.stringify({ ...body, file: number }));
      return (await createBatchQuery({ body, headers: { 'Idempotency-Key': key } })).data.jobs;
    },
    onSuccess: ([first]) => {
      if (!first) return;
      done();
      show(first);
    },
    onError: () => void client.invalidateQueries({ queryKey: nodesKey }),
  });
}

type SourcesProps = {
  servers: Node[];
  sources: string[];
  gone: string[];
  toggle: (name: string, on: boolean) => void;
  /** They are not to be asked now. */
  later: boolean;
};

/** Sources are the servers that each row is asked of. */
function Sources({ servers, sources, gone, toggle, later }: SourcesProps) {
  return (
    <div className={c.wide}>
      <fieldset className={c.sources}>
        <legend>Sources</legend>
        <div>
          {servers.map(({ name, ...server }) => {
            const on = sources.includes(name);
            const Icon = on ? IconCheck : IconServer2;
            return (
              <button
                key={name}
                type="button"
                className={c.source}
                aria-pressed={on}
                onClick={() => toggle(name, !on)}
              >
                <Icon size={15} aria-hidden />
                {fullName({ ...server, name })}
              </button>
            );
          })}
          {servers.length === 0 && 'Your groups may read from no server. Ask an administrator.'}
        </div>
      </fieldset>
      <Suspense fallback={null}>
        <AsksWhen sources={later ? [] : sources} gone={sources.length === 0 ? gone : []} />
      </Suspense>
    </div>
  );
}

function HelpButton() {
  return (
    <Help title={title}>
      <Suspense fallback={<Loading rows={6} />}>
        <QueryHelp />
      </Suspense>
    </Help>
  );
}
