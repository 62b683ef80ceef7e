// SPDX-License-Identifier: AGPL-3.0-or-later

import { Checkbox, TextInput } from '@mantine/core';
import { IconChevronDown, IconCopyPlus, IconTrash } from '@tabler/icons-react';
import { useId } from 'react';

import { Choice } from '../../components/Choice';
import { IconButton } from '../../components/controls';
import { Badge } from '../../components/status';
import { type Field, faultsOf, type FilterForm, filterSays, isEmpty, longest } from '../../mass/filters';
import c from './MassTransfer.module.css';

const modalities = [
  'CT',
  'MR',
  'PT',
  'NM',
  'CR',
  'DX',
  'US',
  'MG',
  'XA',
  'RF',
  'SR',
  'SEG',
  'RTSTRUCT',
  'RTDOSE',
];

type FilterCardProps = {
  card: FilterForm;
  number: number;
  opened: boolean;
  toggle: () => void;
  change: (part: Partial<FilterForm>) => void;
  copy: () => void;
  /** Absent: it is the only one. */
  remove?: () => void;
};

/** FilterCard is a filter: what it takes, in words, and the fields by which it does. */
export function FilterCard({ card, number, opened, toggle, change, copy, remove }: FilterCardProps) {
  const id = useId();
  const faulty = Object.keys(faultsOf(card)).length > 0 || (card.exclude && isEmpty(card));
  return (
    <section
      className={c.card}
      aria-label={`Filter ${number}`}
      data-faulty={(faulty && !opened) || undefined}
    >
      <div className={c.head}>
        <button
          type="button"
          className={c.toggle}
          data-toggle
          aria-expanded={opened}
          aria-controls={id}
          onClick={toggle}
        >
          <IconChevronDown size={15} aria-hidden className={c.chevron} />
          <span className="dim num">
            <span className="vh">Filter </span>
            {number}
            <span className="vh">: </span>
          </span>
          <Badge tone={card.exclude ? undefined : 'primary'}>{card.exclude ? 'Exclude' : 'Include'}</Badge>
          <span className={c.says}>{filterSays(card)}</span>
        </button>
        <IconButton label={`Duplicate filter ${number}`} onClick={copy}>
          <IconCopyPlus size={16} aria-hidden />
        </IconButton>
        {remove && (
          <IconButton label={`Remove filter ${number}`} onClick={remove}>
            <IconTrash size={16} aria-hidden />
          </IconButton>
        )}
      </div>
      <div id={id} hidden={!opened}>
        {opened && <Fields card={card} change={change} />}
      </div>
    </section>
  );
}

function Fields({ card, change }: Pick<FilterCardProps, 'card' | 'change'>) {
  const faults = faultsOf(card);
  const list = useId();
  const field = (name: Field, label: string, example: string, most = 11) => (
    <TextInput
      label={label}
      placeholder={example}
      maxLength={most}
      autoComplete="off"
      inputMode={most === 11 ? 'numeric' : undefined}
      value={card[name]}
      error={faults[name]}
      onChange={(e) => change({ [name]: e.currentTarget.value })}
    />
  );
  return (
    <div className={c.fields}>
      <div className={c.mode}>
        <Choice
          small
          label="What happens to series that fit"
          data={[
            { value: 'include', label: 'Include' },
            { value: 'exclude', label: 'Exclude' },
          ]}
          value={card.exclude ? 'exclude' : 'include'}
          onChange={(value) => change({ exclude: value === 'exclude' })}
        />
        <span className="small dim">
          {card.exclude && isEmpty(card)
            ? 'Say what it leaves out: without a condition it would leave out everything.'
            : 'What is empty does not matter.'}
        </span>
      </div>
      <TextInput
        label="Modality"
        placeholder="Any"
        maxLength={longest.modality}
        autoComplete="off"
        list={list}
        value={card.modality}
        error={faults.modality}
        onChange={(e) => change({ modality: e.currentTarget.value.toUpperCase() })}
      />
      <datalist id={list}>
        {modalities.map((m) => (
          <option key={m} value={m} />
        ))}
      </datalist>
      <div className={c.two}>{field('study', 'Study description', '*head*', longest.study)}</div>
      <div className={c.two}>{field('series', 'Series description', 'T2*', longest.series)}</div>
      {field('number', 'Series number', 'Any')}
      <div className={c.three}>
        {field('institution', 'Institution', '*Neuroradiology*', longest.institution)}
      </div>
      {field('minAge', 'Minimum age', 'Years')}
      {field('maxAge', 'Maximum age', 'Years')}
      {field('minImages', 'Minimum images', 'Any')}
      {!card.exclude && card.institution.trim() !== '' && (
        <Checkbox
          className={c.all}
          label="The whole study if one of its series fits the institution"
          checked={card.onStudy}
          onChange={(e) => change({ onStudy: e.currentTarget.checked })}
        />
      )}
    </div>
  );
}
