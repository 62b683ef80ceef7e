// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Checkbox, Collapse, Select, TextInput } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { IconChevronDown } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useId, useState } from 'react';

import { createJob, type NewJob, type Project } from '../../api';
import { useFocusBack } from '../../components/focus';
import { Note } from '../../components/layout';
import { type Selection, summary } from '../../components/selection';
import { Failed } from '../../components/states';
import { counted } from '../../format/numbers';
import { useRequestKey, useShowMade } from '../../jobs/create';
import { projectWords, useProjects } from '../../jobs/projects';
import { nodesKey } from '../../servers/queries';
import { can, useMe, usePreferences } from '../../session/me';
import c from './Selective.module.css';
import { allowed, leftOut, newJob, type Options, type Pseudonyms, tooMany, whatGoes } from './sentences';

const DownloadDialog = lazy(() => import('./DownloadDialog'));

type Destination = { name: string; words: string };

type DockProps = {
  selection: Selection;
  source: string;
  destination?: Destination;
  clear: () => void;
};

type Choices = Omit<Options, 'source' | 'destination'>;

/** useStart makes the job. */
function useStart(done: () => void) {
  const client = useQueryClient();
  const keyOf = useRequestKey();
  const show = useShowMade();
  return useMutation({
    mutationFn: async (job: NewJob) =>
      (await createJob({ body: job, headers: { 'Idempotency-Key': keyOf(JSON.stringify(job)) } })).data,
    onSuccess: (job) => {
      done();
      show(job);
    },
    // It may tell of a source or destination that is gone.
    onError: () => void client.invalidateQueries({ queryKey: nodesKey }),
  });
}

/** Dock says what will happen to what is picked, and has it happen. */
export default function Dock({ selection, source, destination, clear }: DockProps) {
  const me = useMe();
  const [preferences] = usePreferences();
  const projects = useProjects();
  const [choices, setChoices] = useState<Choices>({
    pseudonyms: 'project',
    pseudonym: '',
    project: '',
    trialID: '',
    trialName: '',
    mail: Boolean(me.mail) && (preferences.mail_when_finished ?? false),
    urgent: false,
  });
  const [more, showMore] = useState(false);
  const [tried, setTried] = useState(false);
  const start = useStart(clear);

  const sum = summary(selection);
  const own = projects.data?.find((p) => p.is_default && p.group === me.active_group);
  const project = projects.data?.find((p) => p.name === choices.project) ?? own;
  const pseudonyms = choices.pseudonyms === 'typed' && sum.patients > 1 ? 'project' : choices.pseudonyms;
  const options = { ...choices, pseudonyms, project: project?.name ?? '' };
  const change = (part: Partial<Choices>) => {
    setChoices({ ...choices, ...part });
    start.reset();
  };

  const much = me.is_staff ? '' : tooMany(selection.size, allowed);
  const missing = {
    destination: destination ? '' : 'Choose a destination.',
    same: destination?.name === source ? 'Choose another source or destination.' : '',
    project: !project && projects.data ? 'Choose a project.' : '',
    pseudonym: pseudonyms === 'typed' && !choices.pseudonym.trim() ? 'Type the pseudonym.' : '',
  };
  const without = pseudonyms === 'none' ? '' : leftOut(selection, project?.excluded_modalities ?? []);
  const submit = () => {
    setTried(true);
    if (start.isPending || much || !destination || Object.values(missing).some(Boolean)) {
      if (missing.project || missing.pseudonym) showMore(true);
      return;
    }
    start.mutate(newJob(selection, { ...options, source, destination: destination.name }));
  };
  useHotkeys([['mod+Enter', submit]], []);

  return (
    <section className={c.dock} aria-label="Transfer" data-more={more || undefined} data-foot>
      <div className="stack tight">
        <p className={c.says} aria-live="polite">
          <b>{whatGoes(sum)}</b> of {counted(sum.patients, 'patient')},{' '}
          <How pseudonyms={pseudonyms} project={project} />
          {destination ? `, to ${destination.words}.` : '.'}
        </p>
        {without && <p role="status">{without}</p>}
        <button type="button" className={c.link} onClick={clear}>
          Clear selection
        </button>
        {much && (
          <Note tone="warning" role="status">
            {much}
          </Note>
        )}
      </div>
      <div className={c.choices}>
        <PseudonymChoice options={options} patients={sum.patients} onChange={change} />
        <Select
          label="Project"
          placeholder={projects.isPending ? 'Loading…' : 'Choose a project'}
          searchable={(projects.data?.length ?? 0) > 10}
          data={projects.data?.map((p) => ({ value: p.name, label: projectWords(p) })) ?? []}
          value={project?.name ?? null}
          error={projects.error ? 'The projects could not be loaded.' : tried && missing.project}
          onChange={(name) => name && change({ project: name })}
        />
        {pseudonyms === 'typed' && (
          <TextInput
            label="Pseudonym"
            autoComplete="off"
            spellCheck={false}
            maxLength={64}
            value={choices.pseudonym}
            error={tried && missing.pseudonym}
            onChange={(e) => change({ pseudonym: e.currentTarget.value })}
          />
        )}
        {pseudonyms === 'none' && (
          <div className={c.wide}>
            <Note tone="warning" role="status">
              Names, IDs and dates are sent unchanged. The audit log records that you sent them.
            </Note>
          </div>
        )}
        <More choices={choices} onChange={change} />
      </div>
      <div className={c.go}>
        <Button onClick={submit} loading={start.isPending} disabled={Boolean(much)}>
          Start transfer
        </Button>
        <span className={c.keyHint}>Ctrl + Enter</span>
        {can(me, 'direct_download') && <Download selection={selection} source={source} />}
        <Button
          variant="subtle"
          size="compact-sm"
          className={c.moreButton}
          aria-expanded={more}
          onClick={() => showMore(!more)}
        >
          Options
        </Button>
      </div>
      {tried && (missing.destination || missing.same) && (
        <p className={c.problem} role="alert">
          {missing.destination || missing.same}
        </p>
      )}
      {start.error && (
        <div className={c.wide}>
          <Failed error={start.error} />
        </div>
      )}
    </section>
  );
}

/** Download opens the dialog that takes what is picked to one's own computer. */
function Download({ selection, source }: Pick<DockProps, 'selection' | 'source'>) {
  const [opened, open] = useState(false);
  const [used, use] = useState(false);
  const opener = useFocusBack(opened);
  return (
    <>
      <Button
        ref={opener}
        variant="default"
        onClick={() => {
          use(true);
          open(true);
        }}
      >
        Download…
      </Button>
      {used && (
        <Suspense fallback={null}>
          <DownloadDialog opened={opened} onClose={() => open(false)} selection={selection} source={source} />
        </Suspense>
      )}
    </>
  );
}

function How({ pseudonyms, project }: { pseudonyms: Pseudonyms; project?: Project }) {
  if (pseudonyms === 'none') return <b>with their identity</b>;
  return <>pseudonymized{project && ` by ${project.profile} for project ${project.name}`}</>;
}

type PseudonymChoiceProps = {
  options: Choices;
  patients: number;
  onChange: (part: Partial<Choices>) => void;
};

function PseudonymChoice({ options, patients, onChange }: PseudonymChoiceProps) {
  const me = useMe();
  const data: { value: Pseudonyms; label: string; disabled?: boolean }[] = [
    { value: 'project', label: 'From the project, per patient' },
    {
      value: 'typed',
      label: patients > 1 ? 'I type one (only for one patient)' : 'I type one',
      disabled: patients > 1,
    },
  ];
  if (can(me, 'transfer_unpseudonymized')) data.push({ value: 'none', label: 'None: keep the identity' });
  return (
    <Select
      label="Pseudonyms"
      data={data}
      value={options.pseudonyms}
      onChange={(value) => value && onChange({ pseudonyms: value })}
    />
  );
}

type MoreProps = { choices: Choices; onChange: (part: Partial<Choices>) => void };

/** More are the choices that few need. */
function More({ choices, onChange }: MoreProps) {
  const me = useMe();
  const [opened, open] = useState(false);
  const id = useId();
  const urgent = can(me, 'urgent');
  const words = ['Trial', me.mail && 'mail', urgent && 'urgent'].filter(Boolean).join(', ');
  return (
    <div className={c.wide}>
      <Button
        variant="subtle"
        size="compact-sm"
        aria-expanded={opened}
        aria-controls={id}
        rightSection={<IconChevronDown size={14} aria-hidden className={c.chevron} />}
        onClick={() => open(!opened)}
      >
        {words}
      </Button>
      <Collapse expanded={opened} id={id}>
        <div className={c.more}>
          <TextInput
            label="Trial protocol ID"
            maxLength={64}
            value={choices.trialID}
            onChange={(e) => onChange({ trialID: e.currentTarget.value })}
          />
          <TextInput
            label="Trial protocol name"
            maxLength={64}
            value={choices.trialName}
            onChange={(e) => onChange({ trialName: e.currentTarget.value })}
          />
          {me.mail && (
            <Checkbox
              label="Mail me when it has ended"
              checked={choices.mail}
              onChange={(e) => onChange({ mail: e.currentTarget.checked })}
            />
          )}
          {urgent && (
            <Checkbox
              label="Urgent"
              description="Runs before jobs that are not urgent"
              checked={choices.urgent}
              onChange={(e) => onChange({ urgent: e.currentTarget.checked })}
            />
          )}
        </div>
      </Collapse>
    </div>
  );
}
