/// <reference types="vite/client" />
declare module '*.mjs' {
  export const themeData: Record<string, unknown>;
  export const tokens: Record<'light' | 'dark', Record<string, string>>;
}
