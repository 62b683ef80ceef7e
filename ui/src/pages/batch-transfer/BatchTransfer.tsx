// SPDX-License-Identifier: AGPL-3.0-or-later

import { Select } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';

import { createBatchTransfer, type Node, type Project } from '../../api';
import c from '../../batch/Batch.module.css';
import { BatchPage } from '../../batch/BatchPage';
import { aboutOf, ForJob, ProjectChoice, useProject } from '../../batch/Choices';
import { Ends, missingOf, When } from '../../batch/Ends';
import { type BatchForm, type Pseudonyms, useBatch } from '../../batch/kept';
import { useMail } from '../../batch/mail';
import { makesSays } from '../../batch/preview';
import { useCheck } from '../../batch/useCheck';
import { sourcesOf, useBatchAddress } from '../../batch/useEnds';
import { Allowed } from '../../components/Allowed';
import { Help } from '../../components/Help';
import { Note, Page } from '../../components/layout';
import { Failed, Loading } from '../../components/states';
import { useRequestKey, useShowMade } from '../../jobs/create';
import { fullName, nodesKey, useNodes } from '../../servers/queries';
import { can, useMe } from '../../session/me';
import { pseudonymsDiffer } from './pseudonyms';

const TransferHelp = lazy(() => import('./TransferHelp'));

const title = 'Batch Transfer';

export default function BatchTransfer() {
  return (
    <Allowed permission="batch_transfer" module={title}>
      <Opened />
    </Allowed>
  );
}

function Opened() {
  const { data, error, refetch } = useNodes();
  if (data) return <Transfer nodes={data} />;
  return (
    <Page title={title} after={<HelpButton />}>
      {error ? <Failed error={error} retry={() => void refetch()} /> : <Loading rows={6} />}
    </Page>
  );
}

const kind = 'batch_transfer';

function Transfer({ nodes }: { nodes: Node[] }) {
  const me = useMe();
  const { form, file, change, discard, clear } = useBatch(kind);
  const [address, changeAddress] = useBatchAddress('/batch-transfer');
  const { project } = useProject(address.project);
  const mail = useMail(form);
  const sources = sourcesOf(nodes);
  const destinations = nodes.filter((n) => n.destination);
  const source = sources.length === 1 ? sources[0] : sources.find((n) => n.name === address.source);
  const destination = destinations.find((n) => n.name === address.destination);
  const pseudonymize = form.pseudonyms === 'project';
  const reading = { pseudonymize };
  const check = useCheck(kind, file, reading);
  const start = useStart(clear);
  const differ = check.data
    ? pseudonymsDiffer(form.pseudonyms, check.data.columns, can(me, 'transfer_unpseudonymized'))
    : '';
  const ethics = me.ethics_id_needed && !form.ethicsID.trim() ? 'Type the ethics application ID.' : '';
  const create = () => {
    if (!file || !project || !source || !destination) return;
    const body = {
      ...aboutOf(form, project.name, mail),
      source: source.name,
      destination: destination.name,
      pseudonymize: pseudonymize || undefined,
      trial_protocol_id: form.trialID.trim() || undefined,
      trial_protocol_name: form.trialName.trim() || undefined,
    };
    start.mutate({ number: file.number, body: { ...body, file: file.base64 } });
  };
  return (
    <BatchPage
      kind={kind}
      title={title}
      help={<HelpButton />}
      file={file}
      check={check}
      reading={reading}
      needs="Its first row names the columns, such as PatientID and StudyInstanceUID."
      choices={
        <ForJob title="For this file" form={form} change={change} trial>
          <Ends {...{ sources, destinations, source, destination }} choose={changeAddress} />
          <ProjectChoice project={project} choose={(name) => changeAddress({ project: name })} />
          <PseudonymChoice form={form} change={change} />
          <When {...{ source, destination }} named={address} />
          <Identity form={form} />
        </ForJob>
      }
      missing={missingOf(source, destination, project) || differ || ethics}
      will={
        <>
          <b className="strong">{check.data && makesSays(check.data, kind)}</b>, from {source?.name} to{' '}
          {destination && fullName(destination)}, <How pseudonyms={form.pseudonyms} project={project} />.
        </>
      }
      create={{ start: create, running: start.isPending, error: start.error }}
      discard={discard}
    />
  );
}

type Made = { number: number; body: Parameters<typeof createBatchTransfer>[0]['body'] };

/** useStart makes the job, and shows it. */
function useStart(done: () => void) {
  const client = useQueryClient();
  const keyOf = useRequestKey();
  const show = useShowMade();
  return useMutation({
    mutationFn: async ({ number, body }: Made) => {
      const key = keyOf(JSON.stringify({ ...body, file: number }));
      return (await createBatchTransfer({ body, headers: { 'Idempotency-Key': key } })).data;
    },
    onSuccess: (job) => {
      done();
      show(job);
    },
    onError: () => void client.invalidateQueries({ queryKey: nodesKey }),
  });
}

type PseudonymChoiceProps = { form: BatchForm; change: (part: Partial<BatchForm>) => void };

function PseudonymChoice({ form, change }: PseudonymChoiceProps) {
  const may = can(useMe(), 'transfer_unpseudonymized');
  const data: { value: Pseudonyms; label: string }[] = [
    { value: 'project', label: 'From the project, per patient' },
    { value: 'file', label: 'From the file' },
  ];
  if (may) data.push({ value: 'none', label: 'None: keep the identity' });
  return (
    <Select
      label="Pseudonyms"
      data={data}
      value={form.pseudonyms}
      onChange={(value) => value && change({ pseudonyms: value })}
    />
  );
}

/** Identity warns of what goes out with its identity. */
function Identity({ form: { pseudonyms } }: { form: BatchForm }) {
  const may = can(useMe(), 'transfer_unpseudonymized');
  if (pseudonyms === 'project' || !may) return null;
  return (
    <div className={c.wide}>
      <Note tone="warning" role="status">
        {pseudonyms === 'none'
          ? 'Names, IDs and dates are sent unchanged. The audit log records that you sent them.'
          : 'You have the right to send identities: a row without a pseudonym goes out with its identity.'}
      </Note>
    </div>
  );
}

function How({ pseudonyms, project }: { pseudonyms: Pseudonyms; project?: Project }) {
  if (pseudonyms === 'none') return <b className="strong">with their identity</b>;
  const by = project && ` by ${project.profile} for project ${project.name}`;
  return (
    <>
      pseudonymized{by}
      {pseudonyms === 'file' && ', as the file says'}
    </>
  );
}

function HelpButton() {
  return (
    <Help title={title}>
      <Suspense fallback={<Loading rows={6} />}>
        <TransferHelp />
      </Suspense>
    </Help>
  );
}
