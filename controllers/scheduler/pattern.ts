/**
 * Regular expressions of placement constraints in linear time. A user's pattern runs in the scheduler of everybody, and JavaScript's own
 * engine can be made to run for hours by a short pattern; this one is a Thompson machine: time is pattern length x text length.
 * Supported: literals, `.`, `[a-z]`, `[^...]`, `\d \w \s \D \W \S` and escaped characters, `( )`, `(?: )`, `|`, `* + ?`, `{n}`, `{n,}`, `{n,m}`.
 * Patterns match the whole text, as in Marathon; `^` at the start and `$` at the end are accepted and change nothing.
 */

export type Matcher = (text: string) => boolean;

/** The matcher, or undefined if the pattern is malformed, uses something unsupported, or is too large. */
export function compilePattern(pattern: string): Matcher | undefined {
  const known = compiled.get(pattern);
  if (known !== undefined) return known ?? undefined;
  let matcher: Matcher | null;
  try {
    matcher = compile(pattern);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    matcher = null;
  }
  if (compiled.size > 1000) compiled.clear();
  compiled.set(pattern, matcher);
  return matcher ?? undefined;
}

const compiled = new Map<string, Matcher | null>();
const MAX_STATES = 2000;

class PatternError extends Error {}

type Test = (char: string) => boolean;
type Node =
  | { kind: 'test'; test: Test }
  | { kind: 'sequence'; parts: Node[] }
  | { kind: 'choice'; parts: Node[] }
  | { kind: 'repeat'; part: Node; min: number; max: number };
/** A state either reads one character that passes `test`, or moves on to `next` without reading. */
interface State {
  test?: Test;
  next: number[];
}

function compile(pattern: string): Matcher {
  const text = pattern.replace(/^\^/, '').replace(/(^|[^\\])\$$/, '$1');
  const parser = new Parser(text);
  const node = parser.choice();
  if (!parser.atEnd()) throw new PatternError();
  const states: State[] = [{ next: [] }];
  const start = build(node, 0, states);
  return (input) => runs(states, start, input);
}

/** Appends the states of `node`, which lead on to state `then`; returns the first of them. */
function build(node: Node, then: number, states: State[]): number {
  switch (node.kind) {
    case 'test':
      return add(states, { test: node.test, next: [then] });
    case 'sequence':
      return node.parts.reduceRight((next, part) => build(part, next, states), then);
    case 'choice':
      return add(states, { next: node.parts.map((part) => build(part, then, states)) });
    case 'repeat': {
      let tail = then;
      if (node.max === Number.POSITIVE_INFINITY) {
        const loop: State = { next: [then] };
        tail = add(states, loop);
        loop.next.push(build(node.part, tail, states));
      } else {
        for (let times = node.min; times < node.max; times += 1) {
          tail = add(states, { next: [build(node.part, tail, states), then] });
        }
      }
      for (let times = 0; times < node.min; times += 1) tail = build(node.part, tail, states);
      return tail;
    }
  }
}

function add(states: State[], state: State): number {
  if (states.length >= MAX_STATES) throw new PatternError();
  states.push(state);
  return states.length - 1;
}

function runs(states: State[], start: number, input: string): boolean {
  let current = closure(states, [start]);
  for (const char of input) {
    const reached: number[] = [];
    for (const index of current) {
      const state = states[index]!;
      if (state.test?.(char)) reached.push(...state.next);
    }
    if (reached.length === 0) return false;
    current = closure(states, reached);
  }
  return current.has(0);
}

function closure(states: State[], from: number[]): Set<number> {
  const seen = new Set<number>();
  const stack = [...from];
  for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
    if (seen.has(index)) continue;
    seen.add(index);
    const state = states[index]!;
    if (!state.test) stack.push(...state.next);
  }
  return seen;
}

class Parser {
  private readonly chars: string[];
  private at = 0;
  private depth = 0;

  constructor(text: string) {
    this.chars = [...text];
  }

  atEnd(): boolean {
    return this.at >= this.chars.length;
  }

  choice(): Node {
    const parts = [this.sequence()];
    while (this.take('|')) parts.push(this.sequence());
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
  }

  private sequence(): Node {
    const parts: Node[] = [];
    while (!this.atEnd() && this.chars[this.at] !== '|' && this.chars[this.at] !== ')') parts.push(this.repeated());
    return { kind: 'sequence', parts };
  }

  private repeated(): Node {
    let node = this.single();
    for (;;) {
      if (this.take('*')) node = { kind: 'repeat', part: node, min: 0, max: Number.POSITIVE_INFINITY };
      else if (this.take('+')) node = { kind: 'repeat', part: node, min: 1, max: Number.POSITIVE_INFINITY };
      else if (this.take('?')) node = { kind: 'repeat', part: node, min: 0, max: 1 };
      else if (this.take('{')) node = this.counted(node);
      else return node;
    }
  }

  private counted(part: Node): Node {
    const min = this.number();
    let max = min;
    if (this.take(',')) max = this.chars[this.at] === '}' ? Number.POSITIVE_INFINITY : this.number();
    this.expect('}');
    if (max < min || min > MAX_STATES) throw new PatternError();
    return { kind: 'repeat', part, min, max };
  }

  private single(): Node {
    const char = this.next();
    switch (char) {
      case '(': {
        this.depth += 1;
        if (this.depth > 50) throw new PatternError();
        if (this.take('?')) this.expect(':');
        const inner = this.choice();
        this.expect(')');
        this.depth -= 1;
        return inner;
      }
      case '[':
        return { kind: 'test', test: this.charClass() };
      case '.':
        return { kind: 'test', test: () => true };
      case '\\':
        return { kind: 'test', test: this.escape() };
      case '*':
      case '+':
      case '?':
      case '{':
      case '^':
      case '$':
        throw new PatternError();
      default:
        return { kind: 'test', test: (other) => other === char };
    }
  }

  private charClass(): Test {
    const negated = this.take('^');
    const tests: Test[] = [];
    for (let first = true; first || this.chars[this.at] !== ']'; first = false) {
      const from = this.next();
      if (from === '\\') {
        tests.push(this.escape());
      } else if (this.chars[this.at] === '-' && this.chars[this.at + 1] !== ']') {
        this.next();
        const to = this.next();
        if (to < from || to === '\\') throw new PatternError();
        tests.push((char) => char >= from && char <= to);
      } else {
        tests.push((char) => char === from);
      }
    }
    this.expect(']');
    return (char) => tests.some((test) => test(char)) !== negated;
  }

  private escape(): Test {
    const char = this.next();
    const named = NAMED_CLASSES[char.toLowerCase()];
    if (named) return char === char.toLowerCase() ? (other) => named.test(other) : (other) => !named.test(other);
    if (/[a-zA-Z0-9]/.test(char)) throw new PatternError();
    return (other) => other === char;
  }

  private number(): number {
    let digits = '';
    while (/\d/.test(this.chars[this.at] ?? '')) digits += this.next();
    if (digits === '' || digits.length > 4) throw new PatternError();
    return Number(digits);
  }

  private take(char: string): boolean {
    if (this.chars[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  private expect(char: string): void {
    if (!this.take(char)) throw new PatternError();
  }

  private next(): string {
    const char = this.chars[this.at];
    if (char === undefined) throw new PatternError();
    this.at += 1;
    return char;
  }
}

const NAMED_CLASSES: Record<string, RegExp> = { d: /[0-9]/, w: /[A-Za-z0-9_]/, s: /\s/ };
