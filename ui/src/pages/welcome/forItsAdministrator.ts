// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Receiver } from '../../api';

/** isHere reports whether a host is the machine on which the browser runs: no other can call it so. */
function isHere(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\./.test(host);
}

/** forItsAdministrator is what the administrator of a PACS has to enter there. The host is that of this page. */
export function forItsAdministrator(receiver: Receiver, host: string): [what: string, value: string][] {
  const port = receiver.port ?? receiver.tls_port;
  const secured = receiver.port === undefined && port !== undefined ? ' (TLS)' : '';
  const at = isHere(host) ? '(address of the machine of ADIT)' : host.replace(/^\[|\]$/g, '');
  const lines: [string, string][] = [
    ['AE title of ADIT', receiver.ae_title],
    ['Address and port', port === undefined ? at : `${at} : ${port}${secured}`],
    ['Allow it', `C-ECHO, C-FIND, C-GET${port === undefined ? '' : `, or C-MOVE to ${receiver.ae_title}`}`],
  ];
  if (port !== undefined) {
    lines.push(['For uncompressed images', `${receiver.plain_ae_title} at the same address and port`]);
  }
  return lines;
}

/** asText writes lines for a mail. */
export function asText(lines: [what: string, value: string][]): string {
  return lines.map(([what, value]) => `${what.padEnd(24)}${value}`).join('\n');
}
