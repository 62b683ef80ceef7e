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
  const ofDescription = problem(make.error)?.of('body.description');
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    make.mutate();
  };
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <div className={c.make}>
        <TextInput
          label="What for?"
          placeholder="Such as: nightly export"
          maxLength={200}
          autoComplete="off"
          value={description}
          error={ofDescription || undefined}
          onChange={(e) => setDescription(e.currentTarget.value)}
        />
        <Select
          label="It works for"
          data={lifetimes(forEver)}
          value={lifetime}
          onChange={(value) => value && setLifetime(value)}
        />
        <Button type="submit" loading={make.isPending} disabled={!description.trim()}>
          Make a token
        </Button>
      </div>
      {!ofDescription && <Failed error={make.error} />}
    </form>
  );
}
