// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Select } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useId } from 'react';

import type { Node, Project } from '../../api';
import b from '../../batch/Batch.module.css';
import { aboutOf, ForJob, ProjectChoice, useProject } from '../../batch/Choices';
import { Ends, missingOf, When } from '../../batch/Ends';
import { useMail } from '../../batch/mail';
import { sourcesOf, useBatchAddress } from '../../batch/useEnds';
import { Allowed } from '../../components/Allowed';
import { Help } from '../../components/Help';
import { Note, Page, Section } from '../../components/layout';
import { LinkButton } from '../../components/LinkButton';
import { Failed, Loading } from '../../components/states';
import ui from '../../components/ui.module.css';
import { useRequestKey, useShowMade } from '../../jobs/create';
import { readDate } from '../../format/dicom';
import { readEnds } from '../../mass/days';
import { filterOf, filtersFault } from '../../mass/filters';
import { type MassForm, useMassForm } from '../../mass/kept';
import { createMassTransfer } from '../../api';
import { looksSays, takesOf } from '../../mass/will';
import { useHaveRun } from '../../recurring/useHaveRun';
import { fullName, nodesKey, useNodes } from '../../servers/queries';
import { can, useMe } from '../../session/me';
import c from './MassTransfer.module.css';

const Days = lazy(() => import('./Days'));
const Filters = lazy(() => import('./Filters'));
const MassHelp = lazy(() => import('./MassHelp'));
const RunAgain = lazy(() => import('../../recurring/RunAgain'));

const title = 'Mass Transfer';

export default function MassTransfer() {
  return (
    <Allowed permission="mass_transfer" module={title}>
      <Opened />
    </Allowed>
  );
}

function Opened() {
  const { data, error, refetch } = useNodes();
  if (data) return <Form nodes={data} />;
  return (
    <Page title={title} after={<HelpButton />}>
      {error ? <Failed error={error} retry={() => void refetch()} /> : <Loading rows={8} />}
    </Page>
  );
}

function Form({ nodes }: { nodes: Node[] }) {
  const me = useMe();
  const { form, change, clear } = useMassForm();
  const [address, changeAddress] = useBatchAddress('/mass-transfer');
  const { project } = useProject(address.project);
  const mail = useMail(form);
  const sources = sourcesOf(nodes);
  const destinations = nodes.filter((n) => n.destination);
  const source = sources.length === 1 ? sources[0] : sources.find((n) => n.name === address.source);
  const destination = destinations.find((n) => n.name === address.destination);
  const pseudonymize = form.pseudonymize || !can(me, 'transfer_unpseudonymized');
  const first = readDate(form.first);
  const days = readEnds(form);
  const plan = form.again?.plan;
  const start = useStart(clear);
  const recur = useHaveRun(clear);
  const why =
    missingOf(source, destination, project) ||
    (form.again && !first && 'Say which day is looked through first.') ||
    (form.again && !plan && 'Correct when it runs.') ||
    (form.again || days ? '' : 'Say which days are looked through.') ||
    (form.wrong ? 'Correct the JSON of the filters.' : filtersFault(form.filters)) ||
    (me.ethics_id_needed && !form.ethicsID.trim() ? 'Write the ethics application ID.' : '');
  const create = (dry: boolean) => {
    if (why || start.isPending || recur.isPending || !source || !destination || !project) return;
    const settings = {
      ...aboutOf(form, project.name, mail),
      source: source.name,
      destination: destination.name,
      partitions: form.partitions,
      filters: form.filters.map(filterOf),
      pseudonymize,
      trial_protocol_id: form.trialID.trim() || undefined,
      trial_protocol_name: form.trialName.trim() || undefined,
    };
    if (plan && first) recur.mutate({ ...plan, mass: { ...settings, start_date: first } });
    else if (days)
      start.mutate({ ...settings, start_date: days.first, end_date: days.last, dry_run: dry || undefined });
  };
  useHotkeys([['mod+Enter', () => create(true)]], []);
  const id = useId();
  const takes = takesOf(form.filters);
  const creating = (dry: boolean) => start.isPending && Boolean(start.variables.dry_run) === dry;
  return (
    <Page
      title={title}
      after={<HelpButton />}
      actions={
        <LinkButton to="/jobs" search={{ kind: 'mass_transfer' }} variant="subtle" size="compact-sm">
          Previous jobs
        </LinkButton>
      }
    >
      <div className={`${b.body} ${c.body}`}>
        <div className={c.main}>
          <Section title="Where and when">
            <div className={b.form}>
              <Ends {...{ sources, destinations, source, destination }} choose={changeAddress} />
              <When {...{ source, destination }} beside named={address} later={form.again !== undefined} />
              <Suspense fallback={<Loading rows={2} label="Loading the days" />}>
                <Days form={form} change={change} />
              </Suspense>
            </div>
          </Section>
          <Suspense fallback={<Loading rows={6} label="Loading the filters" />}>
            <Filters form={form} change={change} />
          </Suspense>
        </div>
        <div className={c.beside}>
          <ForJob title="How it goes out" form={form} change={change} trial urgent={false}>
            <PseudonymChoice pseudonymize={pseudonymize} change={change} />
            <ProjectChoice project={project} choose={(name) => changeAddress({ project: name })} />
            {!pseudonymize && (
              <div className={b.wide}>
                <Note tone="warning" role="status">
                  Names, IDs and dates are sent unchanged. The audit log records that you sent them.
                </Note>
              </div>
            )}
          </ForJob>
          <Suspense fallback={null}>
            <RunAgain again={form.again} change={change} mass />
          </Suspense>
          <Failed error={form.again ? recur.error : start.error} />
        </div>
      </div>
      <div className={b.foot}>
        <p className={b.why} id={id}>
          {why || !source || !destination ? (
            <span className="dim">{why}</span>
          ) : (
            <>
              <b className="strong">
                {plan
                  ? `${form.again?.says}, ADIT looks for what is new at ${source.name}.`
                  : days && looksSays(days, form.partitions, source.name)}
              </b>{' '}
              {takes.what} {takes.goes} <How pseudonymize={pseudonymize} project={project} /> to{' '}
              {fullName(destination)}
              {takes.except}.{' '}
              {!plan && (
                <span className={`dim ${ui.hideS}`}>
                  A dry run only counts: nothing is sent before you say so.
                </span>
              )}
            </>
          )}
        </p>
        {!form.again && (
          <Button
            variant="default"
            onClick={() => create(false)}
            disabled={Boolean(why)}
            loading={creating(false)}
            aria-describedby={id}
          >
            Start transfer
          </Button>
        )}
        <Button
          onClick={() => create(true)}
          disabled={Boolean(why)}
          loading={creating(true) || recur.isPending}
          aria-describedby={id}
          title="Ctrl + Enter"
        >
          {form.again ? 'Have it run again' : 'Dry run'}
        </Button>
      </div>
    </Page>
  );
}

type Body = Parameters<typeof createMassTransfer>[0]['body'];

/** useStart makes the job, and shows it. */
function useStart(done: () => void) {
  const client = useQueryClient();
  const keyOf = useRequestKey();
  const show = useShowMade();
  return useMutation({
    mutationFn: async (body: Body) =>
      (await createMassTransfer({ body, headers: { 'Idempotency-Key': keyOf(JSON.stringify(body)) } })).data,
    onSuccess: (job) => {
      done();
      show(job);
    },
    onError: () => void client.invalidateQueries({ queryKey: nodesKey }),
  });
}

type PseudonymChoiceProps = { pseudonymize: boolean; change: (part: Partial<MassForm>) => void };

function PseudonymChoice({ pseudonymize, change }: PseudonymChoiceProps) {
  const may = can(useMe(), 'transfer_unpseudonymized');
  const data = [{ value: 'project', label: 'From the project, per patient' }];
  if (may) data.push({ value: 'none', label: 'None: keep the identity' });
  return (
    <Select
      label="Pseudonyms"
      data={data}
      value={pseudonymize ? 'project' : 'none'}
      onChange={(value) => value && change({ pseudonymize: value === 'project' })}
    />
  );
}

function How({ pseudonymize, project }: { pseudonymize: boolean; project?: Project }) {
  if (!pseudonymize) return <b className="strong">with their identity</b>;
  return <>pseudonymized{project && ` by ${project.profile} for project ${project.name}`}</>;
}

function HelpButton() {
  return (
    <Help title={title}>
      <Suspense fallback={<Loading rows={6} />}>
        <MassHelp />
      </Suspense>
    </Help>
  );
}
