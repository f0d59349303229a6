/** CEL as Kubernetes offers it in x-kubernetes-validations: the language, `self` and `oldSelf`, and the extension functions. */
import { type ASTNode, Environment, type ParseResult } from '@marcbachmann/cel-js';
import { registerLists } from './lists.ts';
import { registerNetwork } from './network.ts';
import { registerQuantities } from './quantities.ts';
import { registerStrings } from './strings.ts';

export interface Expression {
  evaluate: (variables: { self: unknown; oldSelf?: unknown }) => unknown;
  usesOldSelf: boolean;
  /** What it looks at, so that the rest of a large document need not be converted for it. */
  reads: Record<'self' | 'oldSelf', FieldsRead>;
}

/** The fields of a variable, under their CEL names, that an expression selects; `all` when it does more with the variable than select fields. */
export type FieldsRead = ReadonlySet<string> | 'all';

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
  const reads = { self: fieldsRead(program.ast, 'self'), oldSelf: fieldsRead(program.ast, 'oldSelf') };
  const expression: Expression = { usesOldSelf, reads, evaluate: (variables) => program(variables) };
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

/** Fields of `variable` that are selected as `variable.field` or `variable.?field`, unless it is used in any other way. */
function fieldsRead(ast: ASTNode, variable: string): FieldsRead {
  const fields = new Set<string>();
  const isWhole = (node: unknown): boolean => {
    if (Array.isArray(node)) return node.some(isWhole);
    if (typeof node !== 'object' || node === null || !('op' in node)) return false;
    const { op, args } = node as ASTNode;
    if (op === 'id') return args === variable;
    if (op === '.' || op === '.?') {
      const [base, field] = args as [ASTNode, string];
      if (base.op === 'id' && base.args === variable) {
        fields.add(field);
        return false;
      }
    }
    return Array.isArray(args) ? args.some(isWhole) : isWhole(args);
  };
  return isWhole(ast) ? 'all' : fields;
}

function mentions(node: unknown, name: string): boolean {
  if (Array.isArray(node)) return node.some((inner) => mentions(inner, name));
  if (typeof node !== 'object' || node === null || !('op' in node)) return false;
  const { op, args } = node as ASTNode;
  if (op === 'id') return args === name;
  return Array.isArray(args) ? args.some((inner) => mentions(inner, name)) : mentions(args, name);
}
