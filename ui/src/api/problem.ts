// SPDX-License-Identifier: AGPL-3.0-or-later

import { fieldWords, plain } from './words';

/** Detail names a field of a request that is wrong. */
export type Detail = { field?: string; message?: string };

/** Problem is why a request was not served, in a sentence for people (RFC 9457). */
export class Problem extends Error {
  constructor(
    message: string,
    /** HTTP status; 0: there was no answer. */
    readonly status: number,
    readonly code: string,
    readonly details: Detail[] = [],
    readonly requestId = '',
    /** Seconds after which it makes sense to try again. */
    readonly retryAfter?: number,
  ) {
    super(message);
    this.name = 'Problem';
  }

  /** of gives the sentence about one field of the request, such as "password"; empty: there is none. */
  of(field: string): string {
    const words = this.details.find((d) => d.field === field)?.message ?? '';
    return words && `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.?!]$/.test(words) ? '' : '.'}`;
  }

  /** more are the sentences about fields that the problem itself does not say. */
  more(): string[] {
    const told = this.message.toLowerCase();
    return this.details
      .filter(({ message }) => message && !told.includes(message.toLowerCase().replace(/\.$/, '')))
      .map(({ field, message = '' }) => (field ? `${fieldWords(field)}: ${message}` : message));
  }

  /** A state that somebody wanted, and no fault: the section is locked, or only staff may work. */
  get calm(): boolean {
    return this.code === 'locked' || this.code === 'maintenance';
  }

  /** besides gives the problem, unless all that it tells stands beside one of these fields. */
  besides(...fields: string[]): Problem | null {
    const told = this.details.every((d) => d.field !== undefined && fields.includes(d.field));
    return this.details.length > 0 && told ? null : this;
  }
}

type Body = {
  detail?: string;
  status?: number;
  code?: string;
  request_id?: string;
  errors?: Detail[] | null;
};

/** named calls the fields that a sentence is about as their forms do. */
function named(sentence: string, details: Detail[]): string {
  return details.reduce(
    (said, { field }) => (field ? said.replace(`${field}: `, () => `${fieldWords(field)}: `) : said),
    sentence,
  );
}

/** problemOf makes a Problem of what a call threw: the server's answer, or that there was none. */
export function problemOf(error: unknown, response?: Response): Problem {
  if (error instanceof Problem) return error;
  const body = typeof error === 'object' && error !== null ? (error as Body) : {};
  if (body.code && body.detail) {
    const after = Number(response?.headers.get('Retry-After'));
    const details = (body.errors ?? []).map((d) => ({ ...d, message: d.message && plain(d.message) }));
    return new Problem(
      plain(named(body.detail, details)),
      body.status ?? response?.status ?? 0,
      body.code,
      details,
      body.request_id ?? '',
      after > 0 ? after : undefined,
    );
  }
  if (response && response.status >= 400) {
    return new Problem(
      `Something between this browser and ADIT answered with status ${response.status}. Try again in a moment.`,
      response.status,
      'foreign',
    );
  }
  return new Problem('ADIT does not answer. Check your network, or try again in a moment.', 0, 'unreachable');
}
