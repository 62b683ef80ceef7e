// SPDX-License-Identifier: AGPL-3.0-or-later
import js from '@eslint/js';
import hooks from 'eslint-plugin-react-hooks';
import ts from 'typescript-eslint';

export default ts.config(
  { ignores: ['dist', 'src/api/gen'] },
  js.configs.recommended,
  {
    files: ['src/**/*.{ts,tsx}'],
    extends: [ts.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    plugins: { 'react-hooks': hooks },
    rules: {
      ...hooks.configs.recommended.rules,
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-non-null-assertion': 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['*.{js,ts}', 'scripts/**', 'e2e/**', 'public/**'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'console',
          'URL',
          'document',
          'localStorage',
          'sessionStorage',
          'innerWidth',
          'matchMedia',
          'window',
          'fetch',
          'setTimeout',
          'performance',
          'requestAnimationFrame',
          'getComputedStyle',
          'Buffer',
          'location',
        ].map((g) => [g, 'readonly']),
      ),
    },
  },
);
