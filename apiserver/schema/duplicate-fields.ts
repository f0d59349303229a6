/**
 * The paths of fields that a JSON text has twice in one object; the parser has kept the last of each. `value` is what the parser made of the text.
 * Nearly all texts have none, which a count of colons shows without reading the text again.
 */
export function duplicateFields(text: string, value: unknown): string[] {
  if ((text.match(/"\s*:/g)?.length ?? 0) === countFields(value)) return [];
  return scan(text);
}

function countFields(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countFields(item), 0);
  const fields = Object.values(value);
  return fields.reduce<number>((sum, field) => sum + countFields(field), fields.length);
}

/** One open object or list of the text. */
interface Level {
  path: string;
  /** The fields so far; undefined for a list. */
  fields?: Set<string>;
  index: number;
  /** The path of the value that comes next. */
  next: string;
}

function scan(text: string): string[] {
  const found: string[] = [];
  const levels: Level[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;
  let lastString = '';
  for (const [token] of text.matchAll(tokens)) {
    const level = levels.at(-1);
    if (token.startsWith('"')) lastString = token;
    else if (token === ':' && level?.fields) {
      const name = JSON.parse(lastString) as string;
      level.next = level.path ? `${level.path}.${name}` : name;
      if (level.fields.has(name)) found.push(level.next);
      level.fields.add(name);
    } else if (token === ',' && level && !level.fields) {
      level.index += 1;
      level.next = `${level.path}[${level.index}]`;
    } else if (token === '{') levels.push({ path: level?.next ?? '', fields: new Set(), index: 0, next: '' });
    else if (token === '[') {
      const path = level?.next ?? '';
      levels.push({ path, index: 0, next: `${path}[0]` });
    } else if (token === '}' || token === ']') levels.pop();
  }
  return found;
}
