// SPDX-License-Identifier: AGPL-3.0-or-later

import { Checkbox, Textarea, TextInput } from '@mantine/core';

import { can, useMe } from '../session/me';
import c from './Batch.module.css';
import { EthicsID } from './Choices';
import type { AboutForm } from './kept';
import { useMail } from './mail';

type MoreProps = {
  form: AboutForm;
  change: (part: Partial<AboutForm>) => void;
  trial?: boolean;
  /** Whether a job of the kind can be urgent. */
  urgent?: boolean;
};

/** More are the choices that few need. They are loaded when they are opened. */
export default function More({ form, change, trial, urgent = true }: MoreProps) {
  const me = useMe();
  const mail = useMail(form);
  const text = (field: 'title' | 'trialID' | 'trialName', label: string, most: number) => (
    <TextInput
      label={label}
      maxLength={most}
      autoComplete="off"
      value={form[field]}
      onChange={(e) => change({ [field]: e.currentTarget.value })}
    />
  );
  return (
    <div className={`${c.form} ${c.more}`}>
      {text('title', 'Title', 150)}
      {!(trial && me.ethics_id_needed) && <EthicsID form={form} change={change} />}
      {trial && text('trialID', 'Trial protocol ID', 64)}
      {trial && text('trialName', 'Trial protocol name', 64)}
      <Textarea
        className={c.wide}
        label="Description"
        description="Without names or IDs of patients"
        maxLength={2000}
        rows={2}
        value={form.description}
        onChange={(e) => change({ description: e.currentTarget.value })}
      />
      {me.mail && (
        <Checkbox
          label="Mail me when it has ended"
          checked={mail}
          onChange={(e) => change({ mail: e.currentTarget.checked })}
        />
      )}
      {urgent && can(me, 'urgent') && (
        <Checkbox
          label="Urgent"
          description="Runs before jobs that are not urgent"
          checked={form.urgent}
          onChange={(e) => change({ urgent: e.currentTarget.checked })}
        />
      )}
    </div>
  );
}
