// SPDX-License-Identifier: AGPL-3.0-or-later

import type { ReactNode } from 'react';

import type { BatchKind } from './kept';

type SampleProps = { kind: BatchKind; format: 'xlsx' | 'csv' | 'csv-semicolon'; children?: ReactNode };

/** Sample is a small file to begin with. */
export function Sample({ kind, format, children }: SampleProps) {
  return (
    <a href={`/api/v1/batch-samples/${kind}?format=${format}`} download className="ul">
      {children ?? (format === 'xlsx' ? 'sample.xlsx' : 'sample.csv')}
    </a>
  );
}
