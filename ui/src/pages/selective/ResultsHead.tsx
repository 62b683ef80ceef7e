// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import type { ReactNode } from 'react';

import { Failed } from '../../components/states';
import { count, counted } from '../../format/numbers';
import { againAfter, type Found } from '../../search/studies';
import { most } from './query';
import c from './Selective.module.css';

type ResultsHeadProps = {
  found: Found;
  source?: string;
  /** Studies that another source put out of the selection. */
  dropped: number;
  /** Picked studies that are not shown. */
  earlier: number;
  again: () => void;
};

/** ResultsHead says how far the search is. */
export function ResultsHead({ found, source, dropped, earlier, again }: ResultsHeadProps) {
  const { phase, took } = found;
  return (
    <>
      <div className={c.resultsHead}>
        <div className={c.state} role="status">
          <State found={found} source={source} />
        </div>
        {phase === 'running' && found.studies.length > 0 && (
          // Not for screen readers: it changes four times a second.
          <span className="dim" aria-hidden>
            {count(found.studies.length)} so far
          </span>
        )}
        {(phase === 'lost' || phase === 'stopped') && (
          <Button variant="default" size="compact-sm" onClick={again}>
            Search again
          </Button>
        )}
        <span className={c.notes} role="status">
          {dropped > 0 &&
            `${counted(dropped, 'picked study', 'picked studies')} of the other source ${dropped === 1 ? 'was' : 'were'} removed from the selection.`}
          {earlier > 0 && `${count(earlier)} picked in earlier searches`}
        </span>
        {phase === 'done' && took !== undefined && (
          <span className={c.took}>{took < 50 ? '< 0.1' : (took / 1000).toFixed(1)} s</span>
        )}
      </div>
      {phase === 'failed' && (
        <div className={c.padded}>
          <Failed error={found.problem} retry={again} />
        </div>
      )}
    </>
  );
}

function State({
  found: { phase, server, studies, truncated, problem },
  source,
}: {
  found: Found;
  source?: string;
}): ReactNode {
  const n = studies.length;
  switch (phase) {
    case 'idle':
      return source
        ? 'Type what you know, at least one field, and search.'
        : 'Choose a source and type what you know, at least one field.';
    case 'running':
      return `Searching ${server}…`;
    case 'busy':
      return `All connections of ${server} for people are in use. Trying again in ${againAfter / 1000} s.`;
    case 'lost':
      return problem?.message;
    case 'failed':
      return problem?.calm ? '' : `The search of ${server} failed.`;
    case 'stopped':
      return n > 0
        ? `The search was stopped. ${server} had given these ${counted(n, 'study', 'studies')} by then.`
        : 'The search was stopped.';
    case 'done':
      if (n === 0) return `${server} has no such study. Check what you typed, or fill in fewer fields.`;
      return (
        <>
          <b className="strong">
            {counted(n, 'study', 'studies')} of {server}
          </b>
          {truncated && (
            <span className="dim">
              {server} has more than {most} studies that match, and these are {n} of them. Narrow the search
              to see the others.
            </span>
          )}
        </>
      );
  }
}
