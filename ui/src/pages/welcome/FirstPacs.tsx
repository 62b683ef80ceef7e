// SPDX-License-Identifier: AGPL-3.0-or-later

import '@mantine/core/styles/Switch.css';

import { Button, Switch, TextInput } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ComponentProps, type SyntheticEvent, useState } from 'react';

import { addServer, problem, type ServerSettings } from '../../api';
import { Note } from '../../components/layout';
import { Failed } from '../../components/states';
import { type Four, settingsOf, stores, usable, wrong } from '../../servers/check';
import { nodesKey } from '../../servers/queries';
import { type Report, useDoctor } from '../../servers/useDoctor';
import { ForItsAdministrator } from './ForItsAdministrator';
import { FoundList } from './FoundList';
import { Step } from './Step';
import c from './Welcome.module.css';

const empty: Four = { name: '', ae_title: '', host: '', port: '104' };

/** toSave are the settings that would be saved; null: none are known by which the server would be of use. */
function toSave(report: Report, receives: boolean): ServerSettings | null {
  if (report.state !== 'done' || !report.found) return null;
  const settings = structuredClone(report.found);
  if (receives) settings.supports.store = true;
  return usable(settings) ? settings : null;
}

/** hint says why something cannot be saved, or that nothing was. */
function hint(report: Report, saveable: boolean): string {
  if (report.state === 'running') return 'You can save when the check has ended.';
  if (report.state === 'idle') return 'The check begins by itself when all four values are there.';
  if (!saveable) return 'ADIT cannot save it before it has found out what the PACS offers.';
  return 'Nothing is saved before that.';
}

type FirstPacsProps = {
  /** There is one already. */
  another: boolean;
  onBack: () => void;
  onDone: (name: string) => void;
};

/** FirstPacs asks for four values, and finds out the rest by asking the PACS. */
export default function FirstPacs({ another, onBack, onDone }: FirstPacsProps) {
  const client = useQueryClient();
  const [four, setFour] = useState(empty);
  const [receives, setReceives] = useState(another);
  const [report, repeat] = useDoctor(settingsOf(four));
  const takes = stores(report.checks);
  const settings = toSave(report, takes && receives);
  const save = useMutation({
    mutationFn: async (body: ServerSettings) => (await addServer({ body })).data,
    onSuccess: async (server) => {
      await client.invalidateQueries({ queryKey: nodesKey });
      onDone(server.name);
    },
  });
  const refused = problem(save.error);
  const says = wrong(four);
  const field = (of: keyof Four): ComponentProps<typeof TextInput> => ({
    value: four[of],
    error: says[of] ?? (refused?.of(of) || undefined),
    autoComplete: 'off',
    spellCheck: false,
    required: true,
    withAsterisk: false,
    onChange: (e) => {
      setFour({ ...four, [of]: e.currentTarget.value });
      save.reset();
    },
  });
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    if (settings) save.mutate(settings);
  };
  return (
    <Step
      at={1}
      title={another ? 'Add another PACS' : 'Add your first PACS'}
      says="Four values are enough. ADIT finds out the rest by asking the PACS, and changes nothing there."
    >
      <form className={c.card} onSubmit={submit} noValidate>
        <div className={c.four}>
          <TextInput label="Name in ADIT" {...field('name')} />
          <TextInput label="AE title" description="Up to 16 characters" {...field('ae_title')} />
          <TextInput label="Host" {...field('host')} />
          <TextInput label="Port" inputMode="numeric" {...field('port')} />
        </div>
        <FoundList report={report} />
        {takes && (
          <Switch
            label="ADIT may send studies to this PACS"
            description="It takes what is sent to it. Leave this off if it is only a source."
            checked={receives}
            onChange={(e) => setReceives(e.currentTarget.checked)}
          />
        )}
        <Failed error={report.error} />
        <Failed error={refused?.besides(...Object.keys(empty))} />
        <div className="row wrap">
          <Button
            variant={settings ? 'default' : 'filled'}
            leftSection={<IconPlayerPlay size={15} aria-hidden />}
            disabled={report.state !== 'done'}
            onClick={repeat}
          >
            Check again
          </Button>
          <Button
            type="submit"
            variant={settings ? 'filled' : 'default'}
            disabled={!settings}
            loading={save.isPending}
          >
            Save and go on
          </Button>
          {another && (
            <Button variant="subtle" onClick={onBack}>
              Back
            </Button>
          )}
          <span className="small dim">{hint(report, settings !== null)}</span>
        </div>
      </form>
      <ForItsAdministrator />
      <Note>
        <b>No PACS at hand?</b> Start <span className="mono">adit serve --demo</span>: it brings small PACS
        with made-up studies to try everything on.
      </Note>
    </Step>
  );
}
