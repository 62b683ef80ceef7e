// SPDX-License-Identifier: AGPL-3.0-or-later
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

import { licenses } from './scripts/licenses.ts';

// `make ui/dev` works against a running `adit serve`; ADIT_URL says where it is.
const adit = process.env.ADIT_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react(), licenses()],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    manifest: true,
    reportCompressedSize: false,
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '^/(api|about|healthz|readyz)(/|$)': {
        target: adit,
        changeOrigin: true,
        ws: true,
        rewriteWsOrigin: true,
      },
    },
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.{ts,tsx}'], restoreMocks: true },
});
