// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ComponentProps, type SyntheticEvent, useState } from 'react';

import { changeMe, type Me, problem } from '../../api';
import { Section } from '../../components/layout';
import { Failed } from '../../components/states';
import { askMe, meKey } from '../../session/me';
import c from './Profile.module.css';
import { changes, type Person, personOf } from './words';

/** AboutYou is the form of how one is called and reached. */
export function AboutYou({ me }: { me: Me }) {
  const client = useQueryClient();
  const [person, setPerson] = useState(() => personOf(me));
  const change = changes(me, person);
  const save = useMutation({
    mutationFn: () => askMe(() => changeMe({ body: change })),
    onSuccess: (now) => {
      client.setQueryData(meKey, now);
      setPerson(personOf(now));
    },
  });
  const refused = problem(save.error);
  const field = (of: keyof Person): ComponentProps<typeof TextInput> => ({
    value: person[of],
    error: refused?.of(of) || undefined,
    onChange: (e) => {
      setPerson({ ...person, [of]: e.currentTarget.value });
      save.reset();
    },
  });
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    save.mutate();
  };
  return (
    <Section title="About you">
      <form className={c.form} onSubmit={submit} noValidate>
        <TextInput label="First name" autoComplete="given-name" {...field('first_name')} />
        <TextInput label="Last name" autoComplete="family-name" {...field('last_name')} />
        <TextInput
          label="Mail address"
          type="email"
          autoComplete="email"
          description="Where ADIT writes when a job has ended, or when you need a new password."
          {...field('mail')}
        />
        <TextInput label="Phone" type="tel" autoComplete="tel" {...field('phone')} />
        <TextInput label="Department" autoComplete="organization" {...field('department')} />
        {refused?.besides(...Object.keys(person)) && (
          <div className={c.whole}>
            <Failed error={refused} />
          </div>
        )}
        <div className={`row ${c.whole}`}>
          <Button type="submit" loading={save.isPending} disabled={Object.keys(change).length === 0}>
            Save
          </Button>
          <span className="small dim" role="status">
            {save.isSuccess && 'Saved.'}
          </span>
        </div>
      </form>
    </Section>
  );
}
