// SPDX-License-Identifier: AGPL-3.0-or-later

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** count writes a whole number with thousands parted: 148,220. */
export function count(n: number): string {
  return whole.format(n);
}

/** counted writes a number with its noun: "1 study", "3 studies". */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];

/** bytes writes a size in powers of ten, with three figures at most below a thousand: 74.2 GB. */
export function bytes(n: number): string {
  let value = Math.max(n, 0);
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${units[unit] ?? ''}`;
}

/** perSecond writes a rate with as many figures as it is sure of. */
export function perSecond(n: number): string {
  return n >= 10 ? count(n) : String(Number(n.toFixed(1)));
}
