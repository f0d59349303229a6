/**
 * A set of fields of an object, as a tree. Children have the keys of the FieldsV1 format: `f:name` for a field, `k:{"name":"web"}` for an
 * item of a list with keys, `v:"text"` for a member of a set.
 */
export interface FieldSet {
  /** Whether the place itself is in the set, not only places below it. */
  member: boolean;
  children: Map<string, FieldSet>;
}

export function emptySet(): FieldSet {
  return { member: false, children: new Map() };
}

export function isEmpty(set: FieldSet | undefined): boolean {
  return !set || (!set.member && set.children.size === 0);
}

/** The child under a key; made if it is not there. */
export function childOf(set: FieldSet, key: string): FieldSet {
  let child = set.children.get(key);
  if (!child) {
    child = emptySet();
    set.children.set(key, child);
  }
  return child;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const out = emptySet();
  out.member = a.member || b.member;
  for (const key of new Set([...a.children.keys(), ...b.children.keys()])) {
    const [left, right] = [a.children.get(key), b.children.get(key)];
    out.children.set(key, left && right ? union(left, right) : (left ?? right)!);
  }
  return out;
}

/** The members of `a` that are not members of `b`. */
export function difference(a: FieldSet, b: FieldSet | undefined): FieldSet {
  if (!b) return a;
  return combine(a, b, a.member && !b.member, difference);
}

export function intersection(a: FieldSet, b: FieldSet | undefined): FieldSet {
  if (!b) return emptySet();
  return combine(a, b, a.member && b.member, intersection);
}

function combine(
  a: FieldSet,
  b: FieldSet,
  member: boolean,
  each: (a: FieldSet, b: FieldSet | undefined) => FieldSet,
): FieldSet {
  const out = emptySet();
  out.member = member;
  for (const [key, child] of a.children) {
    const left = each(child, b.children.get(key));
    if (!isEmpty(left)) out.children.set(key, left);
  }
  return out;
}

/** The set without some places and all that is below them. `paths` are lists of field names. */
export function without(set: FieldSet, paths: readonly (readonly string[])[]): FieldSet {
  const out = emptySet();
  out.member = set.member;
  for (const [key, child] of set.children) {
    const below = paths.filter(([first]) => `f:${first}` === key);
    if (below.some((path) => path.length === 1)) continue;
    const kept =
      below.length === 0
        ? child
        : without(
            child,
            below.map((path) => path.slice(1)),
          );
    if (!isEmpty(kept)) out.children.set(key, kept);
  }
  return out;
}

/** Every member as text: `.spec.containers[name="web"].image`. Members of a place come before what lies deeper. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  const children = [...set.children].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...children.filter(([, child]) => child.member).map(([key]) => prefix + pathElement(key)),
    ...children.flatMap(([key, child]) => pathsOf(child, prefix + pathElement(key))),
  ];
}

function pathElement(key: string): string {
  const value = key.slice(2);
  if (key.startsWith('f:')) return `.${value}`;
  if (key.startsWith('v:')) return `[=${value}]`;
  if (!key.startsWith('k:')) return `[${value}]`;
  const keys = Object.entries(JSON.parse(value) as object);
  return `[${keys.map(([name, part]) => `${name}=${JSON.stringify(part)}`).join(',')}]`;
}

/** The `fieldsV1` of a managedFields entry. */
export function encodeSet(set: FieldSet): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  if (set.member && set.children.size > 0) out['.'] = {};
  for (const key of [...set.children.keys()].sort()) out[key] = encodeSet(set.children.get(key)!);
  return out;
}

/** Reads a `fieldsV1`; undefined if it is none. An object without children is a member. */
export function decodeSet(given: unknown, isRoot = true): FieldSet | undefined {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return undefined;
  const set = emptySet();
  const entries = Object.entries(given);
  if (entries.length === 0) set.member = !isRoot;
  for (const [key, value] of entries) {
    if (key === '.') {
      set.member = true;
      continue;
    }
    if (!/^[fkvi]:/.test(key)) return undefined;
    const child = decodeSet(value, false);
    if (!child) return undefined;
    set.children.set(key, child);
  }
  return set;
}
