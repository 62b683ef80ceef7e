// SPDX-License-Identifier: AGPL-3.0-or-later

import { Checkbox } from '@mantine/core';

import type { Study } from '../api';
import { pick, type Selection, studyState } from './selection';
import c from './StudyTable.module.css';

type PickAllProps = {
  studies: Study[];
  selection: Selection;
  onSelection: (selection: Selection) => void;
  /** Shown beside the box; absent: the box stands alone. */
  label?: string;
};

/** PickAll picks all studies that are shown, or lets go of them. */
export function PickAll({ studies, selection, onSelection, label }: PickAllProps) {
  const all = studies.every((s) => studyState(selection, s) === 'all');
  const some = studies.some((s) => selection.has(s.study_instance_uid));
  const items = studies.map((study) => ({ study }));
  return (
    <Checkbox
      className={label && c.pickAll}
      size={label && 'sm'}
      label={label}
      aria-label="Pick all that are shown"
      checked={all}
      indeterminate={!all && some}
      onChange={() => onSelection(pick(selection, items, !all))}
    />
  );
}
