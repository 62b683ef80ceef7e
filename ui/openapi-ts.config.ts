// SPDX-License-Identifier: AGPL-3.0-or-later
import { defineConfig } from '@hey-api/openapi-ts';

// ADIT_DOCUMENT is the document of the REST API; `scripts/ui-api` writes it and runs this.
export default defineConfig({
  input: process.env.ADIT_DOCUMENT ?? 'openapi.json',
  output: { path: 'src/api/gen' },
  plugins: ['@hey-api/typescript', { name: '@hey-api/client-fetch', throwOnError: true }, '@hey-api/sdk'],
});
