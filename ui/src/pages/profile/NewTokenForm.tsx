// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Select, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type SyntheticEvent, useState } from 'react';

import { type CreatedToken, createToken, type NewToken, problem } from '../../api';
import { Failed } from '../../components/states';
import c from './Profile.module.css';
import { lifetimes } from './words';

type NewTokenFormProps = { forEver: boolean; onMade: (token: CreatedToken) => void };

export function NewTokenForm({ forEver, onMade }: NewTokenFormProps) {
  const [description, setDescription] = useState('');
  const [lifetime, setLifetime] = useState<NewToken['lifetime']>('30d');
  const make = useMutation({
    mutationFn: async () => (await createToken({ body: { description: description.trim(), lifetime } })).data,
    onSuccess: (token) => {
      setDescription('');
      onMade(token);
    },
  });
  const refused = problem(make.error);
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    make.mutate();
  };
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <div className={c.make}>
        <TextInput
          label="Description"
          placeholder="What it is for"
          maxLength={200}
          autoComplete="off"
          value={description}
          error={refused?.of('description') || undefined}
          onChange={(e) => setDescription(e.currentTarget.value)}
        />
        <Select
          label="Valid for"
          data={lifetimes(forEver)}
          value={lifetime}
          onChange={(value) => value && setLifetime(value)}
        />
        <Button type="submit" loading={make.isPending} disabled={!description.trim()}>
          Create token
        </Button>
      </div>
      <Failed error={refused?.besides('description')} />
    </form>
  );
}
