// SPDX-License-Identifier: AGPL-3.0-or-later

import { Input, TextInput } from '@mantine/core';
import { useState } from 'react';

import pickers from '../components/pickers.module.css';
import { useMe } from '../session/me';
import { clockIn, faultsOf, otherClock, type PlanForm, toggled, weekdays } from './plan';
import c from './Recurring.module.css';

type PlanFieldsProps = {
  form: PlanForm;
  change: (part: Partial<PlanForm>) => void;
  /** Whether each run looks back, as a mass transfer does. */
  overlaps: boolean;
};

/** PlanFields choose when something runs again and again. */
export function PlanFields({ form, change, overlaps }: PlanFieldsProps) {
  const [left, leave] = useState(''); // what is being typed is no fault yet
  const faults = faultsOf(form);
  const field = (name: 'at' | 'last' | 'overlap', label: string, example: string, says: string) => (
    <TextInput
      label={label}
      placeholder={example}
      description={says || undefined}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      maxLength={11}
      autoComplete="off"
      inputMode={name === 'overlap' ? 'numeric' : undefined}
      value={form[name]}
      error={left.includes(name) && faults[name]}
      onBlur={() => leave(left + name)}
      onChange={(e) => change({ [name]: e.currentTarget.value })}
    />
  );
  return (
    <div className={c.fields}>
      <Input.Wrapper label="Days of the week" labelElement="div" className={c.days}>
        <div className={c.week} role="group" aria-label="Days of the week">
          {weekdays.map(([day, name]) => (
            <button
              key={day}
              type="button"
              className={pickers.chip}
              aria-pressed={form.weekdays.includes(day)}
              onClick={() => change({ weekdays: toggled(form.weekdays, day) })}
            >
              {name}
            </button>
          ))}
        </div>
        {form.weekdays.length === 0 && <p className={c.says}>None chosen: every day.</p>}
      </Input.Wrapper>
      {field('at', 'Time', 'HH:MM', useClockSays())}
      {field('last', 'Until', 'YYYY-MM-DD', 'The last day that it runs on, if there is one.')}
      {overlaps &&
        field('overlap', 'Days looked through again', '0', 'For studies that reach the server late.')}
    </div>
  );
}

/** useClockSays says by whose clock something runs; empty: by the reader's own. */
function useClockSays(): string {
  const zone = otherClock(useMe().time_zone);
  return zone && `By the clock of ${zone}, where it is ${clockIn(zone, new Date())} now.`;
}
