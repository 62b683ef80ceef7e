// SPDX-License-Identifier: AGPL-3.0-or-later

import type { JobDeidentification } from '../api';
import { counted } from '../format/numbers';

/** NotSent is how many images of a job were not sent. */
export type NotSent = {
  /** Left out by the profile or another rule, whole modalities included. */
  byRule: number;
  /** They could not be de-identified. */
  unsafe: number;
  /** Modalities that were left out, and of which the source does not say how many images they have. */
  uncounted: string[];
  /** There may be more than the numbers say. */
  more: boolean;
};

type Sum = Pick<JobDeidentification, 'held_back' | 'held_back_truncated' | 'excluded'>;

/** notSent counts the images that were not sent. */
export function notSent(sum: Sum): NotSent {
  const of = (unsafe: boolean) =>
    sum.held_back.reduce((n, h) => n + ((h.unsafe ?? false) === unsafe ? h.instances : 0), 0);
  const excluded = Object.entries(sum.excluded);
  return {
    byRule: excluded.reduce((n, [, images]) => n + images, of(false)),
    unsafe: of(true),
    uncounted: excluded.filter(([, images]) => images === 0).map(([modality]) => modality),
    more: sum.held_back_truncated ?? false,
  };
}

/** notSentSays says how many images were not sent, and why; empty: none is known of. */
export function notSentSays(sum: Sum): string {
  const { byRule, unsafe, uncounted, more } = notSent(sum);
  const parts = [
    byRule > 0 && `${counted(byRule, 'image was', 'images were')} left out by rule`,
    uncounted.length > 0 && `series of ${uncounted.join(', ')} were left out by rule`,
    unsafe > 0 && `${counted(unsafe, 'image', 'images')} could not be de-identified`,
  ].filter((p) => p !== false);
  if (parts.length === 0) return '';
  const all = `${parts.slice(0, -1).join(', ')}${parts.length > 1 ? ', and ' : ''}${parts.at(-1) ?? ''}`;
  return `${all.charAt(0).toUpperCase()}${all.slice(1)}${more ? ', or more' : ''}.`;
}
