// SPDX-License-Identifier: AGPL-3.0-or-later

import { type Problem, problemOf } from '../../api/problem';

/** refusalOf is why the server gave what a frame shows instead of a download. Nothing: it did not answer. */
export function refusalOf(shown: string | null | undefined): Problem {
  let body: unknown;
  try {
    body = JSON.parse(shown ?? '');
  } catch {
    // of something between, or the browser's own words
  }
  return problemOf(body);
}

/**
 * takeAway has the browser take what is at an address into its own list of downloads: by a frame that nobody sees. Of a
 * download a frame hears nothing, so this never ends well; it fails if the server refuses. Once signal says so, it is
 * given up, unless the download has begun.
 */
export function takeAway(url: string, signal: AbortSignal): Promise<never> {
  return new Promise((_, fail) => {
    const frame = document.createElement('iframe');
    frame.hidden = true;
    frame.src = url; // before it is in the page, so that Back knows nothing of it
    frame.addEventListener('load', () => {
      if (frame.contentDocument?.URL === 'about:blank') return;
      fail(refusalOf(textOf(frame)));
      frame.remove();
    });
    signal.addEventListener('abort', () => frame.remove());
    document.body.append(frame);
  });
}

function textOf(frame: HTMLIFrameElement): string | null | undefined {
  const page = frame.contentDocument; // null: the browser's own page, which says that there was no answer
  return (page?.querySelector('pre') ?? page?.body)?.textContent;
}
