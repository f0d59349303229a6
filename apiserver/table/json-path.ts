/**
 * The JSONPath of CRDs (kubectl's dialect): `.a.b`, `['a']`, `[0]`, `[-1:]`, `[*]`, `..a`, `[?(@.type=="Ready")]`. A missing key selects nothing.
 */
export interface JsonPath {
  /** All values selected, in document order. */
  find(root: unknown): unknown[];
}

type Step = (values: unknown[]) => unknown[];

/** Throws Error with the reason and place if the text is no such path. The braces `{.a}` around it are optional. */
export function parseJsonPath(text: string): JsonPath {
  const parser = new Parser(text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text);
  const steps = parser.steps();
  parser.expectEnd();
  return { find: (root) => steps.reduce((values, step) => step(values), [root]) };
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  steps(): Step[] {
    const steps: Step[] = [];
    if (this.#peek() === '$' || this.#peek() === '@') this.#at++;
    for (;;) {
      const character = this.#peek();
      if (character === '.' && this.#text[this.#at + 1] === '.') {
        this.#at += 2;
        const name = this.#name();
        steps.push((values) => values.flatMap(descendants).flatMap((value) => child(value, name)));
      } else if (character === '.') {
        this.#at++;
        if (this.#peek() === '[') continue;
        if (this.#peek() === '' && steps.length === 0) return steps;
        if (this.#peek() === '*') {
          this.#at++;
          steps.push((values) => values.flatMap(children));
        } else {
          const name = this.#name();
          steps.push((values) => values.flatMap((value) => child(value, name)));
        }
      } else if (character === '[') {
        steps.push(this.#bracket());
      } else {
        return steps;
      }
    }
  }

  expectEnd(): void {
    if (this.#at < this.#text.length) this.#fail(`unexpected '${this.#peek()}'`);
  }

  #bracket(): Step {
    this.#expect('[');
    if (this.#peek() === '?') return this.#filter();
    const names: string[] = [];
    if (this.#peek() === "'" || this.#peek() === '"') {
      do names.push(this.#quoted());
      while (this.#take(','));
      this.#expect(']');
      return (values) => values.flatMap((value) => names.flatMap((name) => child(value, name)));
    }
    const close = this.#text.indexOf(']', this.#at);
    if (close < 0) this.#fail('unterminated array');
    const inside = this.#text.slice(this.#at, close).trim();
    this.#at = close + 1;
    if (inside === '*') return (values) => values.flatMap(children);
    if (/^-?\d+(,-?\d+)*$/.test(inside)) {
      const indexes = inside.split(',').map(Number);
      return (values) => values.flatMap((value) => indexes.flatMap((index) => element(value, index)));
    }
    const slice = /^(-?\d+)?:(-?\d+)?(?::(\d+))?$/.exec(inside);
    if (!slice) this.#fail(`invalid array index ${inside}`);
    const [from, to, step] = slice.slice(1).map((part) => (part === undefined ? undefined : Number(part)));
    return (values) =>
      values.flatMap((value) =>
        Array.isArray(value) ? value.slice(from, to).filter((_, index) => index % (step || 1) === 0) : [],
      );
  }

  /** `?(@.a=="b")`, also with a bare `@.a` for "is there". */
  #filter(): Step {
    this.#expect('?');
    this.#expect('(');
    const left = this.#operand();
    this.#blanks();
    const operator = /^(==|!=|<=|>=|<|>)/.exec(this.#text.slice(this.#at))?.[0];
    let right: ((value: unknown) => unknown[]) | undefined;
    if (operator) {
      this.#at += operator.length;
      right = this.#operand();
    }
    this.#blanks();
    this.#expect(')');
    this.#expect(']');
    const holds = (value: unknown): boolean => {
      const [found] = left(value);
      if (!operator || !right) return found !== undefined;
      const [wanted] = right(value);
      return found !== undefined && wanted !== undefined && compare(found, operator, wanted);
    };
    return (values) => values.flatMap((value) => (Array.isArray(value) ? value : children(value)).filter(holds));
  }

  #operand(): (value: unknown) => unknown[] {
    this.#blanks();
    const character = this.#peek();
    if (character === '@' || character === '$' || character === '.') {
      const steps = this.steps();
      return (value) => steps.reduce((values, step) => step(values), [value]);
    }
    if (character === "'" || character === '"') {
      const literal = this.#quoted();
      return () => [literal];
    }
    const word = /^(true|false|null|-?\d+(\.\d+)?)/.exec(this.#text.slice(this.#at))?.[0];
    if (!word) this.#fail('expected a value in the filter');
    this.#at += word.length;
    const literal: unknown = JSON.parse(word);
    return () => [literal];
  }

  #name(): string {
    let name = '';
    while (this.#at < this.#text.length && !/[.[\]()\s=!<>,'"]/.test(this.#peek())) {
      if (this.#peek() === '\\') this.#at++;
      name += this.#peek();
      this.#at++;
    }
    if (name === '') this.#fail('expected a field name');
    return name;
  }

  #quoted(): string {
    const quote = this.#peek();
    let value = '';
    for (this.#at++; this.#peek() !== quote; this.#at++) {
      if (this.#peek() === '') this.#fail('unterminated quoted string');
      if (this.#peek() === '\\') this.#at++;
      value += this.#peek();
    }
    this.#at++;
    return value;
  }

  #blanks(): void {
    while (this.#peek() === ' ') this.#at++;
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #expect(character: string): void {
    if (!this.#take(character)) this.#fail(`expected '${character}'`);
  }

  #fail(reason: string): never {
    throw new Error(`${reason} at position ${this.#at} of ${JSON.stringify(this.#text)}`);
  }
}

function child(value: unknown, name: string): unknown[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return [];
  return [(value as Record<string, unknown>)[name]];
}

function element(value: unknown, index: number): unknown[] {
  if (!Array.isArray(value)) return [];
  const found: unknown = value.at(index);
  return found === undefined ? [] : [found];
}

function children(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function descendants(value: unknown): unknown[] {
  return [value, ...children(value).flatMap(descendants)];
}

function compare(left: unknown, operator: string, right: unknown): boolean {
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  if (typeof left !== typeof right || (typeof left !== 'number' && typeof left !== 'string')) return false;
  const [a, b] = [left as string, right as string];
  if (operator === '<') return a < b;
  if (operator === '<=') return a <= b;
  return operator === '>' ? a > b : a >= b;
}
