// SPDX-License-Identifier: AGPL-3.0-or-later

import { Input, TextInput } from '@mantine/core';
import { useState } from 'react';

import { Choice } from '../../components/Choice';
import pickers from '../../components/pickers.module.css';
import { rangeFaults } from '../../format/ranges';
import { parts, type Partitions, partsIn, readEnds } from '../../mass/days';
import { shortcuts } from '../../mass/shortcuts';
import type { MassForm } from '../../mass/kept';
import c from './MassTransfer.module.css';

type DaysProps = { form: MassForm; change: (part: Partial<MassForm>) => void };

/** Days chooses what days are looked through, and how many of them at once. */
export default function Days({ form, change }: DaysProps) {
  const [left, leave] = useState(false); // a date that is being typed is no fault yet
  const faults = left ? rangeFaults({ from: form.first, until: form.again ? '' : form.last }) : {};
  const days = readEnds(form);
  const field = (end: 'first' | 'last', label: string, error?: string) => (
    <TextInput
      label={label}
      placeholder="YYYY-MM-DD"
      autoComplete="off"
      value={form[end]}
      error={error}
      onBlur={() => leave(true)}
      onChange={(e) => change({ [end]: e.currentTarget.value })}
    />
  );
  return (
    <>
      {field('first', 'First day', faults.from)}
      {form.again ? (
        <TextInput label="Last day" value="The day before each run" disabled />
      ) : (
        field('last', 'Last day', faults.until)
      )}
      <Input.Wrapper label="Looked through at once" labelElement="div" className={c.atOnce}>
        <Choice<Partitions>
          label="Looked through at once"
          data={[
            { value: 'daily', label: 'One day' },
            { value: 'weekly', label: 'One week' },
          ]}
          value={form.partitions}
          onChange={(partitions) => change({ partitions })}
        />
      </Input.Wrapper>
      {!form.again && (
        <div className={c.shortcuts} role="group" aria-label="Days that are often wanted">
          {shortcuts().map(([name, ends]) => (
            <button
              key={name}
              type="button"
              className={pickers.chip}
              aria-pressed={form.first === ends.first && form.last === ends.last}
              onClick={() => change(ends)}
            >
              {name}
            </button>
          ))}
          {days && (
            <span className="small dim num">
              {parts(partsIn(days, 'daily'), 'daily')}
              {form.partitions === 'weekly' && ` in ${parts(partsIn(days, 'weekly'), 'weekly')}`}, as the
              source has its dates
            </span>
          )}
        </div>
      )}
    </>
  );
}
