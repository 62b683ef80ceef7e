// SPDX-License-Identifier: AGPL-3.0-or-later

import { nothing, type Selection } from '../../components/selection';
import { StudySearch } from '../../search/studies';
import { emptyForm } from './query';

/** search is the page's search. It lives in memory, so that one who comes back finds it; a reload forgets it. */
export const search = new StudySearch();

/** kept is what else one who comes back finds. */
export const kept = {
  form: emptyForm,
  selection: nothing,
  open: new Set<string>() as ReadonlySet<string>,
  source: '',
};

/** putSelection picks studies of a source before the page is opened, in place of what was picked there. */
export function putSelection(source: string, selection: Selection): void {
  if (kept.source !== source) {
    search.clear();
    kept.open = new Set();
  }
  Object.assign(kept, { source, selection });
}
