// SPDX-License-Identifier: AGPL-3.0-or-later

import c from './pickers.module.css';

type ChoiceProps<V extends string> = {
  label: string;
  data: { value: V; label: string; disabled?: boolean }[];
  value: V;
  onChange: (value: V) => void;
  /** As high as what stands in the head of a section. */
  small?: boolean;
};

/** Choice chooses one of a few, which stand beside each other. */
export function Choice<V extends string>({ label, data, value, onChange, small }: ChoiceProps<V>) {
  return (
    <div className={c.choice} role="group" aria-label={label} data-small={small}>
      {data.map((d) => (
        <button
          key={d.value}
          type="button"
          aria-pressed={d.value === value}
          disabled={d.disabled}
          onClick={() => onChange(d.value)}
        >
          {d.label}
        </button>
      ))}
    </div>
  );
}
