// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Select, TextInput } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';
import { lazy, type ReactNode, Suspense, useId, useState } from 'react';

import type { Project } from '../api';
import { Section } from '../components/layout';
import { projectWords, useProjects } from '../jobs/projects';
import { can, useMe } from '../session/me';
import c from './Batch.module.css';
import type { AboutForm, BatchForm } from './kept';

const More = lazy(() => import('./More'));

type FormProps = { form: BatchForm; change: (part: Partial<BatchForm>) => void };

/** useProject gives the project of a job: the one of the address, else that of one's active group. */
export function useProject(name: string | undefined): { project?: Project; loading: boolean } {
  const me = useMe();
  const { data, isPending } = useProjects();
  const own = data?.find((p) => p.is_default && p.group === me.active_group);
  return { project: data?.find((p) => p.name === name) ?? own, loading: isPending };
}

type ProjectChoiceProps = { project: Project | undefined; choose: (name: string) => void };

export function ProjectChoice({ project, choose }: ProjectChoiceProps) {
  const { data, error, isPending } = useProjects();
  return (
    <Select
      label="Project"
      placeholder={isPending ? 'Loading…' : 'Choose a project'}
      searchable={(data?.length ?? 0) > 10}
      data={data?.map((p) => ({ value: p.name, label: projectWords(p) })) ?? []}
      value={project?.name ?? null}
      error={error && 'The projects could not be loaded.'}
      onChange={(name) => name && choose(name)}
    />
  );
}

type MoreProps = {
  form: AboutForm;
  change: (part: Partial<AboutForm>) => void;
  trial?: boolean;
  urgent?: boolean;
};

type EthicsProps = {
  form: AboutForm;
  change: (part: Partial<AboutForm>) => void;
  required?: boolean;
};

/** EthicsID is the number of an application to the ethics committee. */
export function EthicsID({ form, change, required }: EthicsProps) {
  return (
    <TextInput
      label="Ethics application ID"
      maxLength={100}
      autoComplete="off"
      required={required}
      value={form.ethicsID}
      onChange={(e) => change({ ethicsID: e.currentTarget.value })}
    />
  );
}

/** useMoreWords names the choices that few need. */
function useMoreWords(trial: boolean, urgent: boolean): string {
  const me = useMe();
  const title = trial && me.ethics_id_needed ? 'Title' : 'Title, ethics';
  const words = [title, trial && 'trial', me.mail && 'mail', urgent && can(me, 'urgent') && 'urgent'];
  return words.filter(Boolean).join(', ');
}

type ForJobProps = MoreProps & { title: string; children: ReactNode };

/** ForJob is what is chosen for a job; what few need is folded. */
export function ForJob({ title, form, change, trial = false, urgent = true, children }: ForJobProps) {
  const me = useMe();
  const [opened, open] = useState(false);
  const id = useId();
  const words = useMoreWords(trial, urgent);
  return (
    <Section
      title={title}
      right={
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
      }
    >
      <div className={c.form}>
        {children}
        {trial && me.ethics_id_needed && <EthicsID form={form} change={change} required />}
      </div>
      <div id={id} hidden={!opened}>
        {opened && (
          <Suspense fallback={null}>
            <More {...{ form, change, trial, urgent }} />
          </Suspense>
        )}
      </div>
    </Section>
  );
}

const layouts: { value: NonNullable<BatchForm['dates']> | 'iso'; label: string }[] = [
  { value: 'iso', label: '2026-11-30, year first' },
  { value: 'DD.MM.YYYY', label: '30.11.2026, day first' },
  { value: 'MM/DD/YYYY', label: '11/30/2026, month first' },
];

/** Dates chooses how dates are read that are text. It is never guessed. */
export function Dates({ form, change }: FormProps) {
  return (
    <Select
      label="Dates in the file"
      data={layouts}
      value={form.dates || 'iso'}
      onChange={(value) => change({ dates: value === 'iso' ? '' : (value as BatchForm['dates']) })}
    />
  );
}

/** aboutOf is what somebody wrote about a job, as the API wants it. */
export function aboutOf(form: AboutForm, project: string, mail: boolean) {
  const text = (value: string) => value.trim() || undefined;
  return {
    title: text(form.title),
    description: text(form.description),
    ethics_id: text(form.ethicsID),
    project: project || undefined,
    mail_when_finished: mail || undefined,
    urgent: form.urgent || undefined,
  };
}
