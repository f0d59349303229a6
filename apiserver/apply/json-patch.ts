import { ApiError, badRequest } from '../http/errors.ts';
import type { KubernetesObject, ResourceDefinition } from '../resources/definition.ts';
import { jsonEqual } from '../resources/equal.ts';
import { copyJson } from '../schema/copy-json.ts';

const maxOperations = 10_000;
/** Few `copy` operations could make a document of any size out of a small one. */
const maxCopiedBytes = 3 * 1024 * 1024;

interface Operation {
  op: string;
  path: string[];
  from?: string[];
  value?: unknown;
}

/** RFC 6902. All operations hold or none: a failed one throws ApiError 422 that names it, a malformed one 400. */
export function applyJsonPatch(existing: KubernetesObject, patch: unknown, definition: ResourceDefinition): unknown {
  if (!Array.isArray(patch)) throw badRequest('error decoding patch: a JSON patch must be an array of operations');
  if (patch.length > maxOperations) {
    throw new ApiError(
      'RequestEntityTooLarge',
      `Request entity too large: The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    );
  }
  const operations = patch.map(parseOperation);
  const holder = { document: copyJson(existing) as unknown };
  let copied = 0;
  operations.forEach((operation, index) => {
    try {
      if (operation.op === 'copy') {
        copied += JSON.stringify(read(holder.document, operation.from!))?.length ?? 0;
        if (copied > maxCopiedBytes)
          throw new ApiError('RequestEntityTooLarge', 'the copy operations of the patch copy more than 3 MiB');
      }
      run(holder, operation);
    } catch (error) {
      if (!(error instanceof PatchFailed)) throw error;
      throw failure(
        definition,
        existing.metadata.name,
        `/${operation.path.join('/')}`,
        index,
        operation.op,
        error.message,
      );
    }
  });
  return holder.document;
}

/** An operation that does not fit the document. */
class PatchFailed extends Error {}

function failure(
  definition: ResourceDefinition,
  name: string,
  path: string,
  index: number,
  op: string,
  why: string,
): ApiError {
  const { group, kind } = definition;
  return new ApiError(
    'Invalid',
    `the patch does not apply to ${kind} "${name}": operation ${index} (${op} ${path}) failed: ${why}`,
    {
      name,
      ...(group && { group }),
      kind,
      causes: [{ reason: 'FieldValueInvalid', field: 'patch', message: `operation ${index} (${op} ${path}): ${why}` }],
    },
  );
}

function parseOperation(given: unknown): Operation {
  const fail = (why: string): never => {
    throw badRequest(`invalid operation ${JSON.stringify(given)}: ${why}`);
  };
  if (typeof given !== 'object' || given === null) return fail('must be an object');
  const { op, path, from, value } = given as Record<string, unknown>;
  if (typeof op !== 'string') return fail('operation missing op field');
  if (!['add', 'remove', 'replace', 'move', 'copy', 'test'].includes(op)) return fail('unsupported operation');
  if (typeof path !== 'string') return fail('operation missing path field');
  if ((op === 'add' || op === 'replace') && value === undefined) return fail('operation missing value field');
  const operation: Operation = { op, path: pointer(path), value: value ?? null };
  if (op === 'move' || op === 'copy') {
    if (typeof from !== 'string') return fail('operation missing from field');
    operation.from = pointer(from);
  }
  return operation;
}

/** RFC 6901. */
function pointer(text: string): string[] {
  if (text === '') return [];
  if (!text.startsWith('/')) throw badRequest(`invalid path ${JSON.stringify(text)}: a JSON pointer starts with /`);
  return text
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function run(holder: { document: unknown }, { op, path, from, value }: Operation): void {
  switch (op) {
    case 'add':
      insert(holder, path, copyJson(value));
      break;
    case 'remove':
      remove(holder, path);
      break;
    case 'replace':
      if (path.length === 0) holder.document = copyJson(value);
      else replace(holder, path, copyJson(value));
      break;
    case 'move':
      if (from!.length < path.length && from!.every((part, at) => part === path[at])) {
        throw new PatchFailed('a value cannot be moved into itself');
      }
      insert(holder, path, remove(holder, from!));
      break;
    case 'copy':
      insert(holder, path, copyJson(read(holder.document, from!)));
      break;
    case 'test':
      test(holder.document, path, value);
  }
}

/** As the genuine server: testing an absent field for null succeeds. */
function test(document: unknown, path: string[], wanted: unknown): void {
  let found: unknown;
  try {
    found = read(document, path);
  } catch (error) {
    if (wanted === null && error instanceof PatchFailed) return;
    throw error;
  }
  if (!jsonEqual(found, wanted)) {
    throw new PatchFailed(`the value is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
  }
}

function read(document: unknown, path: string[]): unknown {
  return path.reduce((at, key, depth) => {
    if (Array.isArray(at)) return at[existingIndex(at, key)];
    if (isObject(at) && Object.hasOwn(at, key)) return at[key];
    throw new PatchFailed(`there is no value at /${path.slice(0, depth + 1).join('/')}`);
  }, document);
}

function insert(holder: { document: unknown }, path: string[], value: unknown): void {
  if (path.length === 0) {
    holder.document = value;
    return;
  }
  const { parent, key } = parentOf(holder.document, path);
  if (Array.isArray(parent)) {
    parent.splice(key === '-' ? parent.length : index(key, parent.length), 0, value);
  } else {
    setOwn(parent, key, value);
  }
}

function replace(holder: { document: unknown }, path: string[], value: unknown): void {
  const { parent, key } = parentOf(holder.document, path);
  if (Array.isArray(parent)) {
    parent[existingIndex(parent, key)] = value;
  } else {
    if (!Object.hasOwn(parent, key)) throw new PatchFailed('there is no value to replace');
    setOwn(parent, key, value);
  }
}

function remove(holder: { document: unknown }, path: string[]): unknown {
  if (path.length === 0) throw new PatchFailed('the whole document cannot be removed');
  const { parent, key } = parentOf(holder.document, path);
  if (Array.isArray(parent)) return parent.splice(existingIndex(parent, key), 1)[0];
  if (!Object.hasOwn(parent, key)) throw new PatchFailed('there is no value to remove');
  const value = parent[key];
  delete parent[key];
  return value;
}

function parentOf(document: unknown, path: string[]): { parent: unknown[] | Record<string, unknown>; key: string } {
  const parent = read(document, path.slice(0, -1));
  if (!Array.isArray(parent) && !isObject(parent)) {
    throw new PatchFailed(`the value at /${path.slice(0, -1).join('/')} is neither an object nor a list`);
  }
  return { parent, key: path.at(-1)! };
}

function existingIndex(list: unknown[], key: string): number {
  return index(key, list.length - 1);
}

function index(key: string, last: number): number {
  if (!/^(0|[1-9]\d*)$/.test(key)) throw new PatchFailed(`${JSON.stringify(key)} is no index of a list`);
  if (Number(key) > last) throw new PatchFailed(`the list has no index ${key}`);
  return Number(key);
}

function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
