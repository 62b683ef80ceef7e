// SPDX-License-Identifier: AGPL-3.0-or-later

import '@mantine/core/styles/FloatingIndicator.css';
import '@mantine/core/styles/SegmentedControl.css';
import '@mantine/core/styles/Switch.css';

import { SegmentedControl, Select, Switch } from '@mantine/core';
import { type ReactNode, useId, useState } from 'react';

import { Note, Section } from '../../components/layout';
import { type DateFormat, setDateFormat } from '../../format/times';
import { usePreferences } from '../../session/me';
import { useScheme } from '../../session/scheme';
import c from './Profile.module.css';

const dateFormats: { value: DateFormat; label: string }[] = [
  { value: 'YYYY-MM-DD', label: '2026-11-23' },
  { value: 'DD.MM.YYYY', label: '23.11.2026' },
  { value: 'DD/MM/YYYY', label: '23/11/2026' },
  { value: 'MM/DD/YYYY', label: '11/23/2026' },
];

type ChoiceProps = {
  label: string;
  says?: string;
  /** What is chosen by is as wide as a line. */
  wide?: boolean;
  children: (names: { 'aria-labelledby': string; 'aria-describedby'?: string }) => ReactNode;
};

/** Choice is one preference: what it is, and by what it is chosen. */
function Choice({ label, says, wide, children }: ChoiceProps) {
  const id = useId();
  return (
    <li data-wide={wide || undefined}>
      <div>
        <b id={id}>{label}</b>
        {says && (
          <p className="small dim" id={`${id}-says`}>
            {says}
          </p>
        )}
      </div>
      <div>{children({ 'aria-labelledby': id, ...(says && { 'aria-describedby': `${id}-says` }) })}</div>
    </li>
  );
}

/** Preferences are how one likes the pages. Each is kept at once. */
export default function Preferences() {
  const [preferences, prefer] = usePreferences();
  return (
    <div className={`stack wide ${c.preferences}`}>
      <Section title="Look" flush>
        <ul className={c.choices}>
          <Colours />
          <Choice label="Table rows" says="Compact rows show more at once." wide>
            {(names) => (
              <SegmentedControl
                {...names}
                data={[
                  { value: 'compact', label: 'Compact' },
                  { value: 'comfortable', label: 'Comfortable' },
                ]}
                value={preferences.density ?? 'compact'}
                onChange={(density) => prefer({ density })}
              />
            )}
          </Choice>
          <Choice label="Narrow sidebar" says="Icons only, with more room for the page.">
            {(names) => (
              <Switch
                {...names}
                checked={preferences.rail ?? false}
                onChange={(e) => prefer({ rail: e.currentTarget.checked })}
              />
            )}
          </Choice>
          <Choice label="Date format" wide>
            {(names) => (
              <Select
                {...names}
                w={150}
                data={dateFormats}
                value={
                  preferences.date_format === 'auto'
                    ? 'YYYY-MM-DD'
                    : (preferences.date_format ?? 'YYYY-MM-DD')
                }
                onChange={(date_format) => {
                  if (!date_format) return;
                  setDateFormat(date_format);
                  prefer({ date_format });
                }}
              />
            )}
          </Choice>
        </ul>
      </Section>
      <Section title="Keys" flush>
        <ul className={c.choices}>
          <Choice
            label="Single-key shortcuts"
            says="/ goes to the search, g and a letter to a page, ? shows all keys. Ctrl K always works."
          >
            {(names) => (
              <Switch
                {...names}
                checked={preferences.single_keys ?? true}
                onChange={(e) => prefer({ single_keys: e.currentTarget.checked })}
              />
            )}
          </Choice>
        </ul>
      </Section>
      <Section title="When a job has ended" flush>
        <ul className={c.choices}>
          <Choice
            label="Mail"
            says="New jobs have “Mail me when it has ended” ticked. You can untick it for each job."
          >
            {(names) => (
              <Switch
                {...names}
                checked={preferences.mail_when_finished ?? false}
                onChange={(e) => prefer({ mail_when_finished: e.currentTarget.checked })}
              />
            )}
          </Choice>
          <Notifications />
        </ul>
      </Section>
    </div>
  );
}

function Colours() {
  const [scheme, choose] = useScheme();
  return (
    <Choice label="Colours" wide>
      {(names) => (
        <SegmentedControl
          {...names}
          data={[
            { value: 'light', label: 'Light' },
            { value: 'dark', label: 'Dark' },
            { value: 'auto', label: 'Like the system' },
          ]}
          value={scheme}
          onChange={choose}
        />
      )}
    </Choice>
  );
}

/** Notifications are of the browser, which has to allow them. */
function Notifications() {
  const [preferences, prefer] = usePreferences();
  const possible = 'Notification' in window;
  const [permission, setPermission] = useState(possible ? Notification.permission : 'denied');
  const wanted = preferences.notifications ?? false;
  const choose = async (on: boolean) => {
    if (!on) {
      prefer({ notifications: false });
      return;
    }
    const now = await Notification.requestPermission();
    setPermission(now);
    if (now === 'granted') prefer({ notifications: true });
  };
  return (
    <>
      <Choice label="Browser notification" says="Even while you are looking at something else.">
        {(names) => (
          <Switch
            {...names}
            disabled={!possible}
            checked={wanted && permission === 'granted'}
            onChange={(e) => void choose(e.currentTarget.checked)}
          />
        )}
      </Choice>
      {permission === 'denied' && (
        <li>
          <div className={c.whole}>
            <Note tone="warning" role="status">
              {possible
                ? 'Your browser blocks notifications from ADIT. Allow them for this site in its settings, and switch this on again.'
                : 'Your browser shows notifications only from pages that come by HTTPS.'}
            </Note>
          </div>
        </li>
      )}
    </>
  );
}
