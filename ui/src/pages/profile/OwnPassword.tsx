// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Checkbox, PasswordInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ComponentProps, type SyntheticEvent, useState } from 'react';

import { changePassword, type Me, problem } from '../../api';
import { Note, Section } from '../../components/layout';
import { Failed } from '../../components/states';
import c from './Profile.module.css';

const empty = { current: '', password: '', again: '' };

/** OwnPassword is the form for another password. */
export function OwnPassword({ me }: { me: Me }) {
  const [form, setForm] = useState(empty);
  const [keep, setKeep] = useState(false);
  const set = useMutation({
    mutationFn: () =>
      changePassword({ body: { current: form.current, password: form.password, keep_tokens: keep } }),
    onSuccess: () => setForm(empty),
  });
  if (!me.has_password) {
    return (
      <Section title="Password">
        <p>You have no password in ADIT: you log in with your institution&apos;s account.</p>
      </Section>
    );
  }
  const refused = problem(set.error);
  const field = (of: keyof typeof empty): ComponentProps<typeof PasswordInput> => ({
    value: form[of],
    error: refused?.of(of) || undefined,
    onChange: (e) => {
      setForm({ ...form, [of]: e.currentTarget.value });
      set.reset();
    },
  });
  const differs = form.again !== '' && !form.password.startsWith(form.again);
  const ready = form.current !== '' && form.password.length >= 12 && form.again === form.password;
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    if (ready) set.mutate();
  };
  return (
    <Section title="Password">
      <form className={c.form} onSubmit={submit} noValidate>
        <input type="hidden" autoComplete="username" value={me.username} readOnly />
        <div className={c.whole}>
          <PasswordInput label="Current password" autoComplete="current-password" {...field('current')} />
        </div>
        <PasswordInput
          label="New password"
          description="At least 12 characters. A few words that nobody would guess are good."
          autoComplete="new-password"
          {...field('password')}
        />
        <PasswordInput
          label="Repeat the new password"
          autoComplete="new-password"
          {...field('again')}
          error={differs ? 'The two passwords differ.' : undefined}
        />
        <div className={c.whole}>
          <Checkbox
            label="Keep my API tokens"
            description="Otherwise they are revoked, too. All your other sessions end in any case."
            checked={keep}
            onChange={(e) => setKeep(e.currentTarget.checked)}
          />
        </div>
        {refused?.besides('current', 'password') && (
          <div className={c.whole}>
            <Failed error={refused} />
          </div>
        )}
        {set.isSuccess && (
          <div className={c.whole}>
            <Note tone="success" role="status">
              Your password is changed, and all your other sessions have ended.
            </Note>
          </div>
        )}
        <div className={c.whole}>
          <Button type="submit" loading={set.isPending} disabled={!ready}>
            Change the password
          </Button>
        </div>
      </form>
    </Section>
  );
}
