// SPDX-License-Identifier: AGPL-3.0-or-later

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

/** problemOf makes a Problem of what a call threw: the server's answer, or that there was none. */
export function problemOf(error: unknown, response?: Response): Problem {
  if (error instanceof Problem) return error;
  const body = typeof error === 'object' && error !== null ? (error as Body) : {};
  if (body.code && body.detail) {
    const after = Number(response?.headers.get('Retry-After'));
    return new Problem(
      body.detail,
      body.status ?? response?.status ?? 0,
      body.code,
      body.errors ?? [],
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
