import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { LineCounter, parseAllDocuments } from 'yaml';
import type { ApiObject } from '../machinery/client/client.ts';

/** One document of a manifest file. `source` names its place for people: `file.yaml` or `file.yaml#2`. */
export interface ManifestDocument {
  file: string;
  source: string;
  object: ApiObject & { apiVersion: string; kind: string; metadata: { name: string } };
}

/** Why a file (or one document of it) cannot be used. `place` is `file`, `file:line` or `file:line:column`. */
export interface ManifestError {
  file: string;
  place: string;
  message: string;
}

export interface Manifests {
  documents: ManifestDocument[];
  errors: ManifestError[];
}

/** A manifest above this size is refused: the API server's own limit is the same. */
const MAX_FILE_BYTES = 3 * 1024 * 1024;

/**
 * Reads every `.yaml`, `.yml` and `.json` file below a directory (or the one file that `path` is), in name order.
 * A file that cannot be read or parsed becomes an error and the others go on. Hidden files, `kustomization.yaml`
 * and symlinks to directories are passed over.
 */
export async function readManifests(path: string): Promise<Manifests> {
  const result: Manifests = { documents: [], errors: [] };
  for (const file of await manifestFiles(path, result.errors)) {
    const read = await readManifestFile(file, displayName(path, file));
    result.documents.push(...read.documents);
    result.errors.push(...read.errors);
  }
  return result;
}

/** Parses the text of one manifest file; `file` is only used to name places. */
export function parseManifests(text: string, file: string): Manifests {
  const errors: ManifestError[] = [];
  const documents: ManifestDocument[] = [];
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, maxAliasCount: 100 } as never);
  const list = Array.isArray(parsed) ? parsed : [];
  for (const [index, document] of list.entries()) {
    const start = lines.linePos(document.range?.[0] ?? 0).line;
    if (document.errors.length > 0) {
      for (const error of document.errors) {
        const at = lines.linePos(error.pos[0]);
        errors.push({ file, place: `${file}:${at.line}:${at.col}`, message: firstLine(error.message) });
      }
      continue;
    }
    const source = list.length > 1 ? `${file}#${index + 1}` : file;
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      errors.push({ file, place: `${file}:${start}`, message: firstLine(String((error as Error).message)) });
      continue;
    }
    if (value === null || value === undefined) continue;
    for (const [item, object] of flattenList(value).entries()) {
      const problem = shapeProblem(object);
      if (problem) errors.push({ file, place: `${file}:${start}`, message: problem });
      else
        documents.push({
          file,
          source: item > 0 ? `${source}[${item}]` : source,
          object: object as ManifestDocument['object'],
        });
    }
  }
  return { documents, errors };
}

async function manifestFiles(path: string, errors: ManifestError[]): Promise<string[]> {
  const status = await lstat(path);
  if (!status.isDirectory()) return [path];
  const files: string[] = [];
  const entries = await readdir(path, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || /^kustomization\.ya?ml$/.test(entry.name)) continue;
    const full = join(path, entry.name);
    if (entry.isDirectory()) {
      try {
        files.push(...(await manifestFiles(full, errors)));
      } catch (error) {
        errors.push({ file: full, place: full, message: `cannot be read: ${(error as Error).message}` });
      }
    } else if (/\.(ya?ml|json)$/.test(entry.name)) files.push(full);
  }
  return files;
}

async function readManifestFile(file: string, name: string): Promise<Manifests> {
  try {
    const status = await lstat(file);
    if (status.size > MAX_FILE_BYTES) {
      const message = `is ${status.size} bytes: at most ${MAX_FILE_BYTES} are accepted; split it`;
      return { documents: [], errors: [{ file: name, place: name, message }] };
    }
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
    return parseManifests(text, name);
  } catch (error) {
    const invalid = (error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
    const message = invalid ? 'is not valid UTF-8' : `cannot be read: ${(error as Error).message}`;
    return { documents: [], errors: [{ file: name, place: name, message }] };
  }
}

/** A `kind: List` stands for its items, as kubectl treats it. */
function flattenList(value: unknown): unknown[] {
  const list = value as { kind?: unknown; items?: unknown };
  if (typeof list === 'object' && list !== null && list.kind === 'List' && Array.isArray(list.items)) return list.items;
  return [value];
}

function shapeProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'is not an object: a manifest is a mapping with apiVersion, kind and metadata';
  const object = value as Record<string, unknown>;
  if (typeof object.apiVersion !== 'string') return 'apiVersion: is missing or not a string';
  if (typeof object.kind !== 'string') return 'kind: is missing or not a string';
  const metadata = object.metadata as Record<string, unknown> | undefined;
  if (typeof metadata !== 'object' || metadata === null) return 'metadata: is missing';
  if (typeof metadata.name !== 'string' || metadata.name === '') return 'metadata.name: is missing or not a string';
  return undefined;
}

function displayName(root: string, file: string): string {
  return relative(root, file) || file;
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]?.replace(/ at line \d+, column \d+:?$/, '') ?? message;
}
