// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Textarea, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ComponentProps, useState } from 'react';

import { register, problem } from '../../api';
import { Note } from '../../components/layout';
import { Failed } from '../../components/states';
import { Frame } from './Frame';
import c from './Login.module.css';

const empty = { username: '', mail: '', first_name: '', last_name: '', department: '', message: '' };
type Field = keyof typeof empty;
const fields = Object.keys(empty).filter((field) => field !== 'message');

export default function Register() {
  const [form, setForm] = useState(empty);
  const ask = useMutation({ mutationFn: () => register({ body: form }) });
  const wrong = problem(ask.error);
  const about = (field: Field): ComponentProps<typeof TextInput> => ({
    value: form[field],
    onChange: (e) => setForm({ ...form, [field]: e.currentTarget.value }),
    error: wrong?.of(field) || undefined,
  });
  if (ask.isSuccess) {
    return (
      <Frame title="Thank you" says="Your request has reached the administrators.">
        <Note tone="success" role="status">
          When they have decided, a mail comes to {form.mail}. If you get an account, a link in it leads you
          to choose a password.
        </Note>
        <div className={c.ways}>
          <Link to="/login">Back to login</Link>
        </div>
      </Frame>
    );
  }
  return (
    <Frame
      title="Ask for an account"
      says="An administrator decides, and you are told by mail."
      onSubmit={() => ask.mutate()}
    >
      <Failed error={wrong?.besides(...fields)} />
      <TextInput
        label="Username"
        description="As you would like it"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus
        required
        {...about('username')}
      />
      <TextInput label="Mail address" type="email" autoComplete="email" required {...about('mail')} />
      <div className={c.pair}>
        <TextInput label="First name" autoComplete="given-name" {...about('first_name')} />
        <TextInput label="Last name" autoComplete="family-name" {...about('last_name')} />
      </div>
      <TextInput label="Department" autoComplete="organization" {...about('department')} />
      <Textarea
        label="What for?"
        description="The project or study that you need ADIT for"
        autosize
        minRows={2}
        maxRows={6}
        maxLength={1000}
        value={form.message}
        onChange={(e) => setForm({ ...form, message: e.currentTarget.value })}
      />
      <Button type="submit" fullWidth loading={ask.isPending} disabled={!form.username || !form.mail}>
        Ask for an account
      </Button>
      <div className={c.ways}>
        <Link to="/login">I have an account</Link>
      </div>
    </Frame>
  );
}
