// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Modal, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type SyntheticEvent, useState, useSyncExternalStore } from 'react';

import { confirmSession, beginSession, type Me, problem } from '../api';
import { answer, asked, onAsked } from '../api/gate';
import { useFocusKept } from '../components/focus';
import { Note } from '../components/layout';
import { live } from '../live';
import { meKey } from './me';
import { tellTabs } from './tabs';

/** Gate asks for the login that has ended, or for the password again, above whatever page is open. */
export default function Gate() {
  const ask = useSyncExternalStore(onAsked, asked);
  const back = useFocusKept(ask !== null);
  return (
    <>
      <Modal
        opened={ask === 'login'}
        onClose={() => undefined}
        withCloseButton={false}
        title="Your session has ended"
        closeOnEscape={false}
        closeOnClickOutside={false}
        returnFocus={false}
        onExitTransitionEnd={back}
      >
        <LogInAgain />
      </Modal>
      <Modal
        opened={ask === 'confirm'}
        onClose={() => answer('confirm', false)}
        title="Your password, please"
        returnFocus={false}
        onExitTransitionEnd={back}
      >
        <Confirm />
      </Modal>
    </>
  );
}

function LogInAgain() {
  const client = useQueryClient();
  const was = client.getQueryData<Me>(meKey)?.username ?? '';
  const [username, setUsername] = useState(was);
  const [password, setPassword] = useState('');
  const again = useMutation({
    mutationFn: () => beginSession({ body: { username, password } }),
    onSuccess: ({ data }) => {
      tellTabs(data.username);
      if (was && username.toLowerCase() !== was.toLowerCase()) {
        location.assign('/'); // nothing of the other person stays in this page
        return;
      }
      answer('login', true);
      live.start();
      void client.invalidateQueries();
    },
    onError: () => setPassword(''),
  });
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    again.mutate();
  };
  const wrong = problem(again.error);
  return (
    <form className="stack" onSubmit={submit}>
      <p>Log in again to go on. What you have typed is still there.</p>
      {wrong && (
        <Note tone="failure" role="alert">
          {wrong.status === 401 ? 'Wrong username or password. Check both and try again.' : wrong.message}
        </Note>
      )}
      <TextInput
        label="Username"
        autoComplete="username"
        value={username}
        onChange={(e) => setUsername(e.currentTarget.value)}
      />
      <PasswordInput
        label="Password"
        autoComplete="current-password"
        data-autofocus
        value={password}
        onChange={(e) => setPassword(e.currentTarget.value)}
      />
      <div className="row end">
        <Button variant="default" onClick={() => location.assign('/login')}>
          Leave this page
        </Button>
        <Button type="submit" loading={again.isPending} disabled={!username || !password}>
          Log in
        </Button>
      </div>
    </form>
  );
}

function Confirm() {
  const [password, setPassword] = useState('');
  const confirm = useMutation({
    mutationFn: () => confirmSession({ body: { password } }),
    onSuccess: () => answer('confirm', true),
    onError: () => setPassword(''),
  });
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    confirm.mutate();
  };
  const wrong = problem(confirm.error);
  return (
    <form className="stack" onSubmit={submit}>
      <p>
        This changes who may do what. ADIT asks for your password if you gave it more than ten minutes ago.
      </p>
      {wrong && (
        <Note tone="failure" role="alert">
          {wrong.status === 401 ? 'That is not your password.' : wrong.message}
        </Note>
      )}
      <PasswordInput
        label="Password"
        autoComplete="current-password"
        data-autofocus
        value={password}
        onChange={(e) => setPassword(e.currentTarget.value)}
      />
      <div className="row end">
        <Button variant="default" onClick={() => answer('confirm', false)}>
          Cancel
        </Button>
        <Button type="submit" loading={confirm.isPending} disabled={!password}>
          Go on
        </Button>
      </div>
    </form>
  );
}
