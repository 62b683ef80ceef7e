// SPDX-License-Identifier: AGPL-3.0-or-later

const before = /^\/(?:login|register|reset)(?:\/|$)/;

/** pageAfterLogin is where the login leads: to a page of ADIT that needs one, else to the start. */
export function pageAfterLogin(next: string | undefined): string {
  if (!next?.startsWith('/') || !URL.canParse(next, location.origin)) return '/';
  const at = new URL(next, location.origin);
  if (at.origin !== location.origin || before.test(at.pathname)) return '/';
  return at.pathname + at.search + at.hash;
}
