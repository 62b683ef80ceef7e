// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Modal, Select, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type SyntheticEvent, useEffect, useRef, useState } from 'react';

import { Note } from '../../components/layout';
import { type PickedStudy, type Selection, summary } from '../../components/selection';
import { Failed } from '../../components/states';
import { studyWords } from '../../components/studyParts';
import { projectWords, useProjects } from '../../jobs/projects';
import { can, useMe } from '../../session/me';
import { addressOf, type DownloadChoices } from './download';
import { takeAway } from './frame';
import { leftOut, whatGoes } from './sentences';

type DownloadDialogProps = { opened: boolean; onClose: () => void; selection: Selection; source: string };

/** useTake has the browser take an address away, and gives that up where it has not begun. */
function useTake() {
  const end = useRef(new AbortController());
  const take = useMutation({
    mutationFn: (url: string) => {
      end.current.abort();
      end.current = new AbortController();
      return takeAway(url, end.current.signal);
    },
    networkMode: 'always',
  });
  useEffect(() => () => end.current.abort(), []);
  const leave = () => {
    end.current.abort();
    take.reset();
  };
  return { take, leave };
}

/** DownloadDialog takes a picked study, or what is picked of it, to one's own computer. */
export default function DownloadDialog({ opened, onClose, selection, source }: DownloadDialogProps) {
  const { take, leave } = useTake();
  const close = () => {
    leave();
    onClose();
  };
  return (
    <Modal opened={opened} onClose={close} title="Download" returnFocus={false}>
      <Form selection={selection} source={source} take={take} leave={leave} close={close} />
    </Modal>
  );
}

type FormProps = ReturnType<typeof useTake> & { selection: Selection; source: string; close: () => void };

function Form({ selection, source, take, leave, close }: FormProps) {
  const me = useMe();
  const projects = useProjects();
  const [uid, choose] = useState('');
  const [choices, setChoices] = useState<DownloadChoices>({ named: 'typed', pseudonym: '', project: '' });
  const [tried, setTried] = useState(false);

  const picked = selection.get(uid) ?? [...selection.values()][0];
  const own = projects.data?.find((p) => p.is_default && p.group === me.active_group);
  const project = projects.data?.find((p) => p.name === choices.project) ?? own;
  const typed = choices.named === 'typed';
  const missing = {
    pseudonym: typed && !choices.pseudonym.trim() ? 'Type the pseudonym.' : '',
    project: typed && !project && projects.data ? 'Choose a project.' : '',
  };
  const change = (part: Partial<DownloadChoices>) => {
    setChoices({ ...choices, ...part });
    leave();
  };
  if (!picked) return null;
  const only = new Map([[picked.study.study_instance_uid, picked]]);
  const without = typed ? leftOut(only, project?.excluded_modalities ?? []) : '';
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    setTried(true);
    if (take.isPending || missing.pseudonym || missing.project) return;
    take.mutate(addressOf(source, picked, { ...choices, project: project?.name ?? '' }));
  };
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <What picked={picked} source={source} />
      {selection.size > 1 && (
        <Select
          label="Study"
          description="A download is of one study."
          data={[...selection].map(([value, { study }]) => ({ value, label: studyWords(study) }))}
          value={picked.study.study_instance_uid}
          onChange={(value) => {
            choose(value ?? '');
            leave();
          }}
        />
      )}
      {can(me, 'transfer_unpseudonymized') && (
        <Select
          label="Pseudonyms"
          data={[
            { value: 'typed', label: 'I type one' },
            { value: 'none', label: 'None: keep the identity' },
          ]}
          value={choices.named}
          onChange={(value) => value && change({ named: value })}
        />
      )}
      {typed && (
        <>
          <TextInput
            label="Pseudonym"
            required
            data-autofocus
            autoComplete="off"
            spellCheck={false}
            maxLength={64}
            value={choices.pseudonym}
            error={tried && missing.pseudonym}
            onChange={(e) => change({ pseudonym: e.currentTarget.value })}
          />
          <Select
            label="Project"
            placeholder={projects.isPending ? 'Loading…' : 'Choose a project'}
            searchable={(projects.data?.length ?? 0) > 10}
            data={projects.data?.map((p) => ({ value: p.name, label: projectWords(p) })) ?? []}
            value={project?.name ?? null}
            error={projects.error ? 'The projects could not be loaded.' : tried && missing.project}
            onChange={(name) => name && change({ project: name })}
          />
        </>
      )}
      {without && <p role="status">{without}</p>}
      {!typed && (
        <Note tone="warning" role="status">
          Names, IDs and dates are downloaded unchanged. The audit log records that you took them.
        </Note>
      )}
      <Failed error={take.error} />
      {take.isPending && (
        <Note role="status">
          {source} is asked for it. Keep this open until your browser lists the download, which it does with
          the first image. The list tells how far it is, and whether it has failed.
        </Note>
      )}
      <div className="row wrap end">
        <Button variant="default" onClick={close}>
          Close
        </Button>
        {!take.isPending && <Button type="submit">Download</Button>}
      </div>
    </form>
  );
}

/** What says what will be downloaded. */
function What({ picked, source }: { picked: PickedStudy; source: string }) {
  const goes = whatGoes(summary(new Map([[picked.study.study_instance_uid, picked]])));
  return (
    <p>
      <b>{goes}</b> from {source}, as a zip of DICOM files: {studyWords(picked.study)}
      {picked.study.study_description && `, ${picked.study.study_description}`}.
    </p>
  );
}
