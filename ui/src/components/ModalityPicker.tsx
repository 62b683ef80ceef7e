// SPDX-License-Identifier: AGPL-3.0-or-later

import { Input, InputBase, Popover } from '@mantine/core';
import { IconChevronDown } from '@tabler/icons-react';
import { useState } from 'react';

import c from './pickers.module.css';

const common = 'CT MR PT NM CR DX US MG XA RF SR SEG RTSTRUCT RTDOSE PR OT'.split(' ');

/** A server is asked for each modality by a query of its own; ADIT takes so many in one search. */
const most = 10;

type ModalityPickerProps = { value: string[]; onChange: (value: string[]) => void };

/** ModalityPicker chooses modalities by toggles, and takes one line however many are chosen. */
export function ModalityPicker({ value, onChange }: ModalityPickerProps) {
  const [opened, open] = useState(false);
  const toggle = (m: string) =>
    onChange(value.includes(m) ? value.filter((other) => other !== m) : [...value, m]);
  return (
    <Popover opened={opened} onChange={open} position="bottom-start" width={264} trapFocus>
      <Popover.Target>
        <InputBase
          component="button"
          type="button"
          pointer
          label="Modality"
          aria-label={`Modality: ${value.join(', ') || 'any'}`}
          onClick={() => open(!opened)}
          rightSection={<IconChevronDown size={15} aria-hidden />}
          rightSectionPointerEvents="none"
        >
          <span className={c.value}>{value.join(', ') || <Input.Placeholder>Any</Input.Placeholder>}</span>
        </InputBase>
      </Popover.Target>
      <Popover.Dropdown aria-label="Modality">
        <div className={c.chips} role="group" aria-label="Modality">
          {common.map((m) => (
            <button
              key={m}
              type="button"
              className={c.chip}
              aria-pressed={value.includes(m)}
              disabled={value.length >= most && !value.includes(m)}
              onClick={() => toggle(m)}
            >
              {m}
            </button>
          ))}
        </div>
        {value.length > 0 && (
          <button type="button" className={c.clear} onClick={() => onChange([])}>
            Any modality
          </button>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}
