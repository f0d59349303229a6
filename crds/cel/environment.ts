/** CEL as Kubernetes offers it in x-kubernetes-validations: the language, `self` and `oldSelf`, and the extension functions. */
import { type ASTNode, Environment, type ParseResult } from '@marcbachmann/cel-js';
import { registerLists } from './lists.ts';
import { registerNetwork } from './network.ts';
import { registerQuantities } from './quantities.ts';
import { registerStrings } from './strings.ts';

export interface Expression {
  evaluate: (variables: { self: unknown; oldSelf?: unknown }) => unknown;
  usesOldSelf: boolean;
}

/**
 * Parses and checks an expression; throws with the position and cause when it cannot be one. Results are cached by text.
 * With `optionalOldSelf`, oldSelf is an optional that is always there.
 */
export function compileExpression(text: string, optionalOldSelf = false): Expression {
  const cache = optionalOldSelf ? optionalCache : plainCache;
  const known = cache.get(text);
  if (known) return known;
  const environment = optionalOldSelf ? withOptional : plain;
  const program: ParseResult = environment.parse(text);
  const check = program.check();
  if (!check.valid) throw check.error ?? new Error('the expression does not type-check');
  const usesOldSelf = mentions(program.ast, 'oldSelf');
  const expression: Expression = { usesOldSelf, evaluate: (variables) => program(variables) };
  if (cache.size >= CACHE_LIMIT) cache.clear();
  cache.set(text, expression);
  return expression;
}

const CACHE_LIMIT = 10_000;
const plainCache = new Map<string, Expression>();
const optionalCache = new Map<string, Expression>();

const plain = makeEnvironment('dyn');
const withOptional = makeEnvironment('optional<dyn>');

function makeEnvironment(oldSelf: 'dyn' | 'optional<dyn>'): Environment {
  const environment = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    unlistedVariablesAreDyn: false,
  });
  environment.registerVariable('self', 'dyn').registerVariable('oldSelf', oldSelf);
  registerStrings(environment);
  registerLists(environment);
  registerQuantities(environment);
  registerNetwork(environment);
  return environment;
}

function mentions(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((inner) => mentions(inner, name));
  if (typeof node !== 'object' || node === null || !('op' in node)) return false;
  const { op, args } = node as ASTNode;
  if (op === 'id') return args === name;
  return Array.isArray(args) ? args.some((inner) => mentions(inner, name)) : mentions(args, name);
}
