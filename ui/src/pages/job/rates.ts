// SPDX-License-Identifier: AGPL-3.0-or-later

import { useEffect, useRef, useState } from 'react';

import type { Job } from '../../api';
import { final } from '../../components/status';
import { perSecond } from '../../format/numbers';
import { clock } from '../../format/times';
import { useLive } from '../../live';

const every = 5000; // milliseconds between two samples
const most = 720; // an hour

/** Fewer samples than this are no chart. */
export const enough = 10;

/** Rates are images per second, as they were seen in equal steps of time. */
export type Rates = { from: Date; to: Date; values: number[] };

/**
 * sampled adds a sample; the oldest goes when there are many. A job has no rate in its first seconds, which is not to be
 * taken for none at all: its samples begin with the first that there is.
 */
export function sampled(rates: Rates | null, value: number | undefined, at: Date): Rates | null {
  if (!rates) return value === undefined ? null : { from: at, to: at, values: [value] };
  const values = [...rates.values, value ?? 0].slice(-most);
  const from = rates.values.length < most ? rates.from : new Date(rates.from.getTime() + every);
  return { from, to: at, values };
}

/** ratesSay describes the chart to who does not see it, and says what it does not hold. */
export function ratesSay({ from, values }: Rates): string {
  const highest = Math.max(...values);
  return (
    `Images per second since ${clock(from)}, each the mean of five minutes: ` +
    `now ${perSecond(values.at(-1) ?? 0)}, at most ${perSecond(highest)}. ` +
    'ADIT keeps none from before this page was opened.'
  );
}

/** useRates keeps the rates of a job that the page has seen since it was opened. */
export function useRates(job: Job): Rates | null {
  const { live } = useLive();
  const [rates, setRates] = useState<Rates | null>(null);
  const latest = useRef(job);
  useEffect(() => {
    latest.current = job;
  });
  const runs = live && !final(job.status);
  useEffect(() => {
    if (!runs) return;
    const sample = () => {
      const value = latest.current.rate?.instances_per_second;
      setRates((was) => sampled(was, value, new Date()));
    };
    const timer = setInterval(sample, every);
    return () => clearInterval(timer);
  }, [runs]);
  return rates;
}
