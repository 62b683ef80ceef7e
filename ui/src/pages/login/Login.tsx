// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { getRouteApi, Link, useRouter } from '@tanstack/react-router';
import { useState } from 'react';

import { beginSession, type Problem, problem, queries } from '../../api';
import { Note } from '../../components/layout';
import { clock } from '../../format/times';
import { pageAfterLogin } from '../../session/next';
import { tellTabs } from '../../session/tabs';
import { Frame } from './Frame';
import c from './Login.module.css';

const route = getRouteApi('/login');

function sentence(p: Problem): string {
  if (p.status === 401) return 'Check both and try again.';
  if (p.status === 429) {
    return `Too many wrong tries. Try again at ${clock(new Date(Date.now() + (p.retryAfter ?? 60) * 1000))}.`;
  }
  return p.message;
}

export default function Login() {
  const { next } = route.useSearch();
  const router = useRouter();
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const enter = useMutation({
    mutationFn: () => beginSession({ body: { username, password } }),
    onSuccess: ({ data }) => {
      tellTabs(data.username);
      queries.clear();
      router.history.push(pageAfterLogin(next));
    },
    onError: () => setPassword(''),
  });
  const [empty, setEmpty] = useState(false);
  const submit = () => {
    setEmpty(!username || !password);
    if (username && password) enter.mutate(); // a password manager may fill in without a word
  };
  const wrong = empty ? null : problem(enter.error);
  return (
    <Frame title="Log in" says="Automated DICOM Transfer · for research use" onSubmit={submit}>
      {wrong && (
        <Note tone="failure" role="alert">
          {wrong.status === 401 && <b>Wrong username or password. </b>}
          {sentence(wrong)}
        </Note>
      )}
      {empty && (
        <Note tone="failure" role="alert">
          Type your username and your password.
        </Note>
      )}
      <TextInput
        label="Username"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus
        value={username}
        onChange={(e) => setUsername(e.currentTarget.value)}
      />
      <PasswordInput
        label="Password"
        autoComplete="current-password"
        value={password}
        onChange={(e) => setPassword(e.currentTarget.value)}
      />
      <Button type="submit" fullWidth loading={enter.isPending}>
        Log in
      </Button>
      <div className={c.ways}>
        <Link to="/reset">Forgot your password?</Link>
        <Link to="/register">Ask for an account</Link>
      </div>
    </Frame>
  );
}
