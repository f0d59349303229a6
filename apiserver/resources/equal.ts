/** Whether two JSON values are the same; the order of keys and fields that are undefined do not count. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => jsonEqual(item, b[index]));
  }
  return fieldsEqual(a as Fields, b as Fields, []);
}

type Fields = Record<string, unknown>;

/** As jsonEqual, without looking at the given top-level fields. */
export function fieldsEqual(a: Fields, b: Fields, except: readonly string[]): boolean {
  for (const key in a) {
    if (!except.includes(key) && !jsonEqual(a[key], b[key])) return false;
  }
  for (const key in b) {
    if (b[key] !== undefined && a[key] === undefined && !except.includes(key)) return false;
  }
  return true;
}
