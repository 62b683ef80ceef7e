// SPDX-License-Identifier: AGPL-3.0-or-later

import { expect, test } from 'vitest';

import { asText, forItsAdministrator } from './forItsAdministrator';

const text = (...of: Parameters<typeof forItsAdministrator>) => asText(forItsAdministrator(...of));
const titles = { ae_title: 'ADIT', plain_ae_title: 'ADIT_LE' };

test('the administrator of a PACS is told where ADIT is and what to allow', () => {
  expect(text({ ...titles, port: 11112, tls_port: 2762 }, 'adit.example.org')).toBe(
    [
      'AE title of ADIT        ADIT',
      'Address and port        adit.example.org : 11112',
      'Allow it                C-ECHO, C-FIND, C-GET, or C-MOVE to ADIT',
      'For uncompressed images ADIT_LE at the same address and port',
    ].join('\n'),
  );
});

test('an address that only this machine knows is told to nobody', () => {
  for (const host of ['localhost', '127.0.0.1', '[::1]']) {
    expect(text({ ...titles, port: 11112 }, host)).toContain('machine of ADIT) : 11112');
  }
  expect(text({ ...titles, port: 11112 }, '[2001:db8::1]')).toContain('2001:db8::1 : 11112');
});

test('without a receiver there is no C-MOVE; with TLS only, that is said', () => {
  const none = text(titles, 'adit.example.org');
  expect(none).not.toContain('C-MOVE');
  expect(none).not.toContain(' : ');
  expect(text({ ...titles, tls_port: 2762 }, 'adit.example.org')).toContain(': 2762 (TLS)');
});
