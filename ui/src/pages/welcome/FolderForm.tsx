// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ComponentProps, type SyntheticEvent, useState } from 'react';

import { addFolder, problem } from '../../api';
import { Failed } from '../../components/states';
import { nodesKey } from '../../servers/queries';
import c from './Welcome.module.css';

const empty = { name: '', path: '' };

type FolderFormProps = { onAdded: (name: string) => void; onCancel: () => void };

/** FolderForm adds a folder as a destination. */
export function FolderForm({ onAdded, onCancel }: FolderFormProps) {
  const client = useQueryClient();
  const [form, setForm] = useState(empty);
  const add = useMutation({
    mutationFn: async () =>
      (await addFolder({ body: { name: form.name.trim(), path: form.path.trim() } })).data,
    onSuccess: async (folder) => {
      await client.invalidateQueries({ queryKey: nodesKey });
      onAdded(folder.name);
    },
  });
  const refused = problem(add.error);
  const field = (of: keyof typeof empty): ComponentProps<typeof TextInput> => ({
    value: form[of],
    error: refused?.of(of) || undefined,
    autoComplete: 'off',
    spellCheck: false,
    onChange: (e) => setForm({ ...form, [of]: e.currentTarget.value }),
  });
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    add.mutate();
  };
  return (
    <form className={c.card} onSubmit={submit} noValidate aria-label="Add a folder">
      <div className={c.folder}>
        <TextInput label="Name of the folder in ADIT" autoFocus {...field('name')} />
        <TextInput
          label="Path"
          description="On the machine where ADIT runs. It has to exist."
          {...field('path')}
        />
      </div>
      <Failed error={refused?.besides('name', 'path')} />
      <div className="row wrap">
        <Button type="submit" loading={add.isPending} disabled={!form.name.trim() || !form.path.trim()}>
          Add the folder
        </Button>
        <Button variant="subtle" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
