import { badRequest } from '../http/errors.ts';
import { labelKeyProblem, labelValueProblem } from './label-syntax.ts';

/** Says whether an object with these labels is selected. */
export type LabelPredicate = (labels: Readonly<Record<string, string>> | undefined) => boolean;

type Operator = '=' | '==' | '!=' | 'in' | 'notin' | '>' | '<';

/**
 * Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Requirements are joined by "and"; an empty text selects everything.
 * Throws ApiError 400 with the genuine server's messages, which users know from kubectl.
 */
export function parseLabelSelector(text: string | undefined): LabelPredicate {
  const tokens = new Tokens(text ?? '');
  if (tokens.peek() === '') return () => true;
  const requirements: LabelPredicate[] = [];
  for (;;) {
    const next = tokens.peek();
    if (!startsRequirement(next)) {
      throw badRequest(`found '${next}', expected: !, identifier, or 'end of string'`);
    }
    requirements.push(parseRequirement(tokens));
    const after = tokens.next();
    if (after === '') break;
    if (after !== ',') throw badRequest(`found '${after}', expected: ',' or 'end of string'`);
    const following = tokens.peek();
    if (!startsRequirement(following)) throw badRequest(`found '${following}', expected: identifier after ','`);
  }
  return requirements.length === 1 ? requirements[0]! : (labels) => requirements.every((holds) => holds(labels));
}

function parseRequirement(tokens: Tokens): LabelPredicate {
  if (tokens.peek() === '!') {
    tokens.next();
    const key = checkedKey(tokens.next());
    return (labels) => labels?.[key] === undefined;
  }
  const key = checkedKey(tokens.next());
  const following = tokens.peek();
  if (following === '' || following === ',') return (labels) => labels?.[key] !== undefined;
  const operator = parseOperator(tokens.next());
  if (operator === 'in' || operator === 'notin') {
    const values = new Set(parseValueList(tokens));
    for (const value of values) checkValue(key, value);
    if (operator === 'in') return (labels) => labels?.[key] !== undefined && values.has(labels[key]);
    return (labels) => labels?.[key] === undefined || !values.has(labels[key]);
  }
  const value = parseExactValue(tokens);
  if (operator === '>' || operator === '<') return comparison(key, operator, value);
  checkValue(key, value);
  if (operator === '!=') return (labels) => labels?.[key] !== value;
  return (labels) => labels?.[key] === value;
}

function parseOperator(token: string): Operator {
  if (['=', '==', '!=', 'in', 'notin', '>', '<'].includes(token)) return token as Operator;
  throw badRequest(`unable to parse requirement: found '${token}', expected: in, notin, =, ==, !=, gt, lt`);
}

function comparison(key: string, operator: '>' | '<', value: string): LabelPredicate {
  if (!/^[+-]?\d+$/.test(value)) {
    throw badRequest(
      `unable to parse requirement: values[0]: Invalid value: "${value}": for 'Gt', 'Lt' operators, the value must be an integer`,
    );
  }
  const bound = Number(value);
  return (labels) => {
    const label = labels?.[key];
    if (label === undefined || !/^[+-]?\d+$/.test(label)) return false;
    return operator === '>' ? Number(label) > bound : Number(label) < bound;
  };
}

/** After `in`: `(a,b)`; the empty list and empty members mean the empty value, as in the genuine server. */
function parseValueList(tokens: Tokens): string[] {
  const open = tokens.next();
  if (open !== '(') throw badRequest(`unable to parse requirement: found '${open}' expected: '('`);
  const values: string[] = [];
  let current: string | undefined;
  for (;;) {
    const token = tokens.next();
    if (token === ',' || token === ')') {
      values.push(current ?? '');
      current = undefined;
      if (token === ')') return values;
    } else if (token === '' || current !== undefined || isSymbol(token)) {
      throw badRequest(`unable to parse requirement: found '${token}', expected: ',' or ')'`);
    } else {
      current = token;
    }
  }
}

/** After `=`: an identifier, or nothing for the empty value. */
function parseExactValue(tokens: Tokens): string {
  const following = tokens.peek();
  if (following === '' || following === ',') return '';
  const value = tokens.next();
  if (isSymbol(value)) throw badRequest(`unable to parse requirement: found '${value}', expected: identifier`);
  return value;
}

function checkedKey(key: string): string {
  const problem = labelKeyProblem(key);
  if (problem) throw badRequest(`unable to parse requirement: <nil>: Invalid value: "${key}": ${problem}`);
  return key;
}

function checkValue(key: string, value: string): void {
  const problem = labelValueProblem(value);
  if (problem)
    throw badRequest(`unable to parse requirement: values[0][${key}]: Invalid value: "${value}": ${problem}`);
}

function startsRequirement(token: string): boolean {
  return token === '!' || (token !== '' && !isSymbol(token));
}

function isSymbol(token: string): boolean {
  return /^(?:[(),]|[=!<>]+)$/.test(token);
}

/** Splits at blanks and the special characters; runs of `= ! < >` are one token. */
class Tokens {
  readonly #tokens: string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = text.match(/!=|==|=|!|<|>|[(),]|[^\s=!<>(),]+/g) ?? [];
  }

  /** The empty string at the end. */
  peek(): string {
    return this.#tokens[this.#at] ?? '';
  }

  next(): string {
    return this.#tokens[this.#at++] ?? '';
  }
}
