// SPDX-License-Identifier: AGPL-3.0-or-later

export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden>
      <rect width="32" height="32" rx="8" fill="#0b6b78" />
      <circle cx="9.5" cy="20.5" r="4" fill="#fff" />
      <circle cx="22.5" cy="20.5" r="4" fill="none" stroke="#fff" strokeWidth="2.4" />
      <path
        d="M9.5 12.5a6.8 6.8 0 0 1 11.6-1.6M22.6 6.6v5h-5"
        fill="none"
        stroke="#fff"
        strokeWidth="2.4"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
