// SPDX-License-Identifier: AGPL-3.0-or-later

/** Placed is a value of JSON that knows where in the text it begins. */
export type Placed = { at: number } & (
  | { kind: 'object'; members: { key: string; at: number; value: Placed }[] }
  | { kind: 'array'; items: Placed[] }
  | { kind: 'scalar'; value: string | number | boolean | null }
);

/** Unread is why a text is not JSON, and where. */
export class Unread extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

const deepest = 20;
const numeral = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const words = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/** readPlaced reads JSON. JSON.parse does not tell where a value stands, and not every browser where a fault is. */
export function readPlaced(text: string): Placed {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  end(): void {
    this.blanks();
    if (this.at < this.text.length) this.fail('There is something behind the end');
  }

  private fail(says: string): never {
    throw new Unread(says, Math.min(this.at, this.text.length));
  }

  private blanks(): void {
    while (' \t\r\n'.includes(this.text[this.at] ?? 'x')) this.at++;
  }

  private next(char: string): boolean {
    this.blanks();
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  value(depth: number): Placed {
    this.blanks();
    const at = this.at;
    if (depth > deepest) this.fail('This is nested too deeply');
    if (this.next('{')) return { at, kind: 'object', members: this.members(depth) };
    if (this.next('[')) return { at, kind: 'array', items: this.items(depth) };
    if (this.text[at] === '"') return { at, kind: 'scalar', value: this.string() };
    numeral.lastIndex = at;
    const digits = numeral.exec(this.text)?.[0];
    if (digits) {
      this.at += digits.length;
      return { at, kind: 'scalar', value: Number(digits) };
    }
    const word = /^[a-z]{1,6}/.exec(this.text.slice(at, at + 6))?.[0] ?? '';
    const value = words.get(word);
    if (value === undefined)
      this.fail(
        at < this.text.length ? 'This is no value; texts stand in double quotes' : 'The end is missing',
      );
    this.at += word.length;
    return { at, kind: 'scalar', value };
  }

  private items(depth: number): Placed[] {
    const items: Placed[] = [];
    if (this.next(']')) return items;
    do items.push(this.value(depth + 1));
    while (this.next(','));
    if (!this.next(']')) this.fail('A comma or ] is missing');
    return items;
  }

  private members(depth: number) {
    const members: { key: string; at: number; value: Placed }[] = [];
    if (this.next('}')) return members;
    do {
      this.blanks();
      const at = this.at;
      if (this.text[at] !== '"') this.fail('A name in double quotes is missing');
      const key = this.string();
      if (!this.next(':')) this.fail('A colon is missing');
      members.push({ key, at, value: this.value(depth + 1) });
    } while (this.next(','));
    if (!this.next('}')) this.fail('A comma or } is missing');
    return members;
  }

  private string(): string {
    const from = this.at++;
    for (;;) {
      const char = this.text[this.at];
      if (char === '"') break;
      if (char === undefined || char < ' ') this.fail('The closing quote is missing');
      this.at += char === '\\' ? 2 : 1;
    }
    this.at++;
    try {
      return JSON.parse(this.text.slice(from, this.at)) as string;
    } catch {
      this.at = from;
      this.fail('A backslash stands before something that it can’t stand before');
    }
  }
}

/** lineOf is the number of the line in which a place is. */
export function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}
