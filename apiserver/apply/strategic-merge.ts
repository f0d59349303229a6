import { badRequest } from '../http/errors.ts';
import { isObject } from './merge-patch.ts';
import { mergeList, mergePrimitives } from './strategic-list.ts';

/** Merge keys by dotted path without indexes; the empty key means a list of scalars that is merged as a set. */
export type MergeKeys = ReadonlyMap<string, string>;

const orderPrefix = '$setElementOrder/';
const deletionPrefix = '$deleteFromPrimitiveList/';

/**
 * Strategic merge patch: like RFC 7386, but lists with a merge key are merged by it, and directives ($patch, $retainKeys, $setElementOrder,
 * $deleteFromPrimitiveList) say the rest. Changes and returns `target`.
 */
export function strategicMerge(
  target: Record<string, unknown>,
  patch: Record<string, unknown>,
  keys: MergeKeys,
  path = '',
): Record<string, unknown> {
  const directive = patch.$patch;
  if (directive === 'replace') return withoutDirectives(patch) as Record<string, unknown>;
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') throw badDirective(directive, path);
  retainKeys(target, patch, path);
  const handled = new Set<string>();
  for (const key of Object.keys(patch)) {
    const name = key.startsWith(orderPrefix)
      ? key.slice(orderPrefix.length)
      : key.startsWith(deletionPrefix)
        ? key.slice(deletionPrefix.length)
        : key;
    if (name === '$patch' || name === '$retainKeys' || name === '__proto__' || handled.has(name)) continue;
    handled.add(name);
    const at = path === '' ? name : `${path}.${name}`;
    mergeField(target, patch, name, keys, at);
  }
  return target;
}

function mergeField(
  target: Record<string, unknown>,
  patch: Record<string, unknown>,
  name: string,
  keys: MergeKeys,
  at: string,
): void {
  const value = patch[name];
  const order = listOf(patch[orderPrefix + name], orderPrefix + at);
  const deletions = listOf(patch[deletionPrefix + name], deletionPrefix + at);
  if (value === null) {
    delete target[name];
    return;
  }
  const before = target[name];
  const mergeKey = keys.get(at);
  if (mergeKey !== undefined && (value === undefined || Array.isArray(value))) {
    const original = Array.isArray(before) ? before : [];
    const given = (value as unknown[] | undefined) ?? [];
    target[name] =
      mergeKey === ''
        ? mergePrimitives(original, given, order, deletions)
        : mergeList(original, given, order, {
            mergeKey,
            path: at,
            mergeItem: (item, change) => strategicMerge(item, change, keys, at),
          });
  } else if (value !== undefined) {
    target[name] = isObject(value)
      ? strategicMerge(isObject(before) ? before : {}, value, keys, at)
      : withoutDirectives(value);
  }
}

/** `$retainKeys` drops every other key, for unions: setting one member removes the others. */
function retainKeys(target: Record<string, unknown>, patch: Record<string, unknown>, path: string): void {
  if (patch.$retainKeys === undefined) return;
  const retained = new Set(listOf(patch.$retainKeys, `${path}.$retainKeys`));
  for (const key of Object.keys(patch)) {
    if (!key.startsWith('$') && patch[key] !== null && !retained.has(key)) {
      throw badRequest(`${path || 'the patch'}: $retainKeys does not name ${key}, which the patch sets`);
    }
  }
  for (const key of Object.keys(target)) if (!retained.has(key)) delete target[key];
}

function listOf(value: unknown, path: string): unknown[] | undefined {
  if (value === undefined || Array.isArray(value)) return value;
  throw badRequest(`error decoding patch: ${path} must be a list`);
}

export function badDirective(directive: unknown, path: string): Error {
  return badRequest(
    `unknown patch type ${JSON.stringify(directive)} in $patch of ${path || 'the patch'}: use replace, merge or delete`,
  );
}

/** New values must not bring directives or nulls of maps into the document. */
export function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, child]) => child !== null && !key.startsWith('$'))
      .map(([key, child]) => [key, withoutDirectives(child)]),
  );
}
