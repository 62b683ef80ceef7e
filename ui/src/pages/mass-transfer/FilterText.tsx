// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Textarea } from '@mantine/core';
import { useRef } from 'react';

import { Note } from '../../components/layout';
import { counted } from '../../format/numbers';
import type { FilterForm } from '../../mass/filters';
import { jsonOf, readJSON } from '../../mass/json';
import type { MassForm } from '../../mass/kept';
import c from './MassTransfer.module.css';

const shown = 5; // faults

type FilterTextProps = {
  text: string;
  filters: FilterForm[];
  change: (part: Partial<MassForm>) => void;
};

/** FilterText has the filters as JSON, and says what is wrong with it, and where. */
export default function FilterText({ text, filters, change }: FilterTextProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const { faults } = readJSON(text);
  const write = (json: string) => {
    const read = readJSON(json);
    const wrong = read.faults.length > 0;
    change(wrong ? { json, wrong } : { json, wrong, filters: read.filters });
  };
  const show = (at: number) => {
    area.current?.focus();
    area.current?.setSelectionRange(at, at + 1);
  };
  const lines = Math.min(24, Math.max(8, text.split('\n').length + 1));
  return (
    <>
      <Textarea
        ref={area}
        classNames={{ input: c.json }}
        aria-label="Filters as JSON"
        rows={lines}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        error={faults.length > 0}
        value={text}
        onChange={(e) => write(e.currentTarget.value)}
      />
      {faults.length > 0 && (
        <Note tone="failure" role="status">
          <ul className={c.faults}>
            {faults.slice(0, shown).map((f) => (
              <li key={`${f.at}${f.says}`}>
                <button type="button" className={c.place} onClick={() => show(f.at)}>
                  Line {f.line}
                </button>{' '}
                {f.says}
              </li>
            ))}
          </ul>
          {faults.length > shown && <p>And {counted(faults.length - shown, 'more fault')}.</p>}
          <Button
            variant="default"
            size="compact-sm"
            onClick={() => change({ json: jsonOf(filters), wrong: false })}
          >
            Back to what was right
          </Button>
        </Note>
      )}
    </>
  );
}
