// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, InputBase, Popover, TextInput } from '@mantine/core';
import { IconCalendar } from '@tabler/icons-react';
import { useState } from 'react';

import { type DateRange, daysOf, presets, presetWords, rangeFaults, rangeWords } from '../format/ranges';
import c from './pickers.module.css';

type DateRangePickerProps = {
  label: string;
  value: DateRange;
  onChange: (value: DateRange) => void;
  error?: string;
};

/** DateRangePicker chooses days: of late, or from one that is typed until another. */
export function DateRangePicker({ label, value, onChange, error }: DateRangePickerProps) {
  const [opened, open] = useState(false);
  const faults = rangeFaults(value);
  const ends = 'preset' in value ? daysOf(value) : value;
  const [from, until] = [ends.from ?? '', ends.until ?? ''];
  return (
    <Popover opened={opened} onChange={open} position="bottom-start" width={300} trapFocus>
      <Popover.Target>
        <InputBase
          component="button"
          type="button"
          pointer
          label={label}
          aria-label={`${label}: ${rangeWords(value)}`}
          error={error}
          onClick={() => open(!opened)}
          rightSection={<IconCalendar size={15} aria-hidden />}
          rightSectionPointerEvents="none"
        >
          <span className={c.value}>{rangeWords(value)}</span>
        </InputBase>
      </Popover.Target>
      <Popover.Dropdown aria-label={label}>
        <div className="stack">
          <div className={c.presets} role="group" aria-label={label}>
            {presets.map((preset) => (
              <button
                key={preset}
                type="button"
                className={c.chip}
                aria-pressed={'preset' in value && value.preset === preset}
                onClick={() => {
                  onChange({ preset });
                  open(false);
                }}
              >
                {presetWords[preset]}
              </button>
            ))}
          </div>
          <div className="row top">
            <TextInput
              label="From"
              placeholder="YYYY-MM-DD"
              autoComplete="off"
              value={from}
              error={faults.from}
              onChange={(e) => onChange({ from: e.currentTarget.value, until })}
            />
            <TextInput
              label="Until"
              placeholder="YYYY-MM-DD"
              autoComplete="off"
              value={until}
              error={faults.until}
              onChange={(e) => onChange({ from, until: e.currentTarget.value })}
            />
          </div>
          <Button
            variant="default"
            disabled={Boolean(faults.from ?? faults.until)}
            onClick={() => open(false)}
          >
            Done
          </Button>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
