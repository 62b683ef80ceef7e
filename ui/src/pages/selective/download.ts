// SPDX-License-Identifier: AGPL-3.0-or-later

import { downloadURL } from '../../api';
import type { PickedStudy } from '../../components/selection';

/** HowNamed is what a download calls the patient. */
export type HowNamed = 'typed' | 'none';

export type DownloadChoices = { named: HowNamed; pseudonym: string; project: string };

/** addressOf is where a picked study, or what is picked of it, is downloaded from. */
export function addressOf(source: string, picked: PickedStudy, choices: DownloadChoices): string {
  const under = { pseudonym: choices.pseudonym.trim(), project: choices.project || undefined };
  return downloadURL(
    { name: source, study: picked.study.study_instance_uid },
    {
      series: picked.series === 'all' ? undefined : [...picked.series.keys()],
      ...(choices.named === 'typed' && under),
    },
  );
}
