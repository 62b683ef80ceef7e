// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, TextInput } from '@mantine/core';
import { IconPlayerStop, IconSearch } from '@tabler/icons-react';
import { type SyntheticEvent, useState } from 'react';

import type { Node } from '../../api';
import { DateRangePicker } from '../../components/DateRange';
import { ModalityPicker } from '../../components/ModalityPicker';
import { type Form, queryOf } from './query';
import c from './Selective.module.css';

type SearchFormProps = {
  form: Form;
  onForm: (form: Form) => void;
  source?: Node;
  running: boolean;
  onSearch: () => void;
  onStop: () => void;
};

/** A browser must not keep or correct what is typed here: it is of patients. */
const unkept = { autoComplete: 'off', spellCheck: false, autoCorrect: 'off', autoCapitalize: 'off' };

export function SearchForm({ form, onForm, source, running, onSearch, onStop }: SearchFormProps) {
  const [tried, setTried] = useState(false);
  const asked = queryOf(form);
  const faults = tried && 'faults' in asked ? asked.faults : {};
  const change = (part: Partial<Form>) => onForm({ ...form, ...part });
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    setTried(true);
    if ('query' in asked && source) onSearch();
  };
  const problem = tried && !source ? 'Choose a source first.' : faults.form;
  return (
    <form
      className={c.query}
      aria-label="Search"
      onSubmit={submit}
      onKeyDown={(e) => {
        if (e.key === 'Escape' && running) onStop();
      }}
    >
      <TextInput
        label="Patient ID"
        {...unkept}
        data-search
        value={form.patientID}
        onChange={(e) => change({ patientID: e.currentTarget.value })}
      />
      <TextInput
        label="Patient name"
        placeholder="Last, First"
        {...unkept}
        value={form.patientName}
        onChange={(e) => change({ patientName: e.currentTarget.value })}
      />
      <TextInput
        label="Birth date"
        placeholder="YYYY-MM-DD"
        {...unkept}
        value={form.birthDate}
        error={faults.birthDate}
        onChange={(e) => change({ birthDate: e.currentTarget.value })}
      />
      <DateRangePicker
        label="Study date"
        value={form.studyDate}
        error={faults.studyDate}
        onChange={(studyDate) => change({ studyDate })}
      />
      <ModalityPicker value={form.modalities} onChange={(modalities) => change({ modalities })} />
      <TextInput
        label="Accession #"
        {...unkept}
        value={form.accession}
        onChange={(e) => change({ accession: e.currentTarget.value })}
      />
      {running ? (
        <Button
          key="stop"
          type="button"
          variant="default"
          className={c.submit}
          leftSection={<IconPlayerStop size={15} aria-hidden />}
          onClick={onStop}
        >
          Stop
        </Button>
      ) : (
        <Button
          key="search"
          type="submit"
          className={c.submit}
          leftSection={<IconSearch size={15} aria-hidden />}
        >
          Search
        </Button>
      )}
      {problem && (
        <p className={c.problem} role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
