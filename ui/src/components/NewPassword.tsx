// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, PasswordInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type SyntheticEvent, useState } from 'react';

import { problem, resetPassword } from '../api';
import { Failed } from './states';

type NewPasswordProps = {
  /** what stands behind the # of the link */ code: string;
  onDone: (password: string) => void;
};

/** NewPassword asks for a password, twice, and sets it by a one-time code. */
export function NewPassword({ code, onDone }: NewPasswordProps) {
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const set = useMutation({
    mutationFn: () => resetPassword({ body: { code, password } }),
    onSuccess: () => onDone(password),
  });
  const wrong = problem(set.error);
  const ofPassword = wrong?.of('password');
  const ready = password.length >= 12 && again === password;
  const differs = again !== '' && !password.startsWith(again) && again !== password;
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    if (ready) set.mutate();
  };
  return (
    <form className="stack" onSubmit={submit}>
      <Failed error={wrong?.besides('password')} />
      <PasswordInput
        label="New password"
        autoComplete="new-password"
        autoFocus
        value={password}
        onChange={(e) => setPassword(e.currentTarget.value)}
        error={ofPassword}
      />
      <PasswordInput
        label="Repeat the new password"
        autoComplete="new-password"
        value={again}
        onChange={(e) => setAgain(e.currentTarget.value)}
        error={differs ? 'The two passwords differ.' : undefined}
      />
      <Button type="submit" fullWidth loading={set.isPending} disabled={!ready}>
        Set the password
      </Button>
    </form>
  );
}
