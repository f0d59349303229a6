/**
 * One file of a stack of layers, as overlayfs would show it, without mounting anything. Layers are private to the agent and do not change, so
 * paths can be walked part by part; links lead no further than the stack's root.
 */
import { constants, type Stats } from 'node:fs';
import { lstat, open, readlink } from 'node:fs/promises';

export interface StackedLayer {
  directory: string;
  /** Directories that hide those of lower layers. Paths are bytes as latin1, "" is the root. */
  opaque: ReadonlySet<string>;
}

const MOST_LINKS = 40;

/** What the path leads to in the whole stack (the uppermost layer first); undefined when it leads nowhere. The last part may be a link that is followed. */
export async function findInLayers(
  layers: StackedLayer[],
  path: string,
): Promise<{ path: Buffer; stat: Stats } | undefined> {
  let parts = partsOf(path);
  for (let links = 0; links < MOST_LINKS; links++) {
    const found = await walk(layers, parts);
    if (found === undefined || found.link === undefined) return found;
    const { link, at } = found;
    const target = link.startsWith('/') ? partsOf(link) : [...parts.slice(0, at), ...partsOf(link)];
    parts = normal([...target, ...parts.slice(at + 1)]);
  }
  return undefined;
}

/** The content of a regular file of at most `most` bytes; undefined when there is none. */
export async function readInLayers(layers: StackedLayer[], path: string, most: number): Promise<Buffer | undefined> {
  const found = await findInLayers(layers, path);
  if (!found?.stat.isFile()) return undefined;
  const file = await open(found.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    if (size > most) throw new Error(`${path} of the image has more than ${most} bytes`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

type Found = { path: Buffer; stat: Stats; link?: undefined; at?: undefined };
type Link = { path: Buffer; stat: Stats; link: string; at: number };

/** Goes down part by part, with all layers that have a directory there. Stops at the first link. */
async function walk(layers: StackedLayer[], parts: string[]): Promise<Found | Link | undefined> {
  let current = cutAtOpaqueRoot(layers);
  if (current.length === 0) return undefined;
  const root = placeIn(current[0]!, '');
  let found: Found = { path: root, stat: await lstat(root) };
  for (const at of parts.keys()) {
    const below = parts.slice(0, at + 1).join('/');
    const next: StackedLayer[] = [];
    let first: Found | undefined;
    for (const layer of current) {
      const path = placeIn(layer, below);
      const stat = await lstatOrNothing(path);
      if (stat === undefined) continue;
      // A whiteout, or any file, ends the search in lower layers; a directory goes on with theirs.
      if (isWhiteout(stat) || (first !== undefined && !stat.isDirectory())) break;
      first ??= { path, stat };
      if (!stat.isDirectory()) break;
      next.push(layer);
      if (layer.opaque.has(below)) break;
    }
    if (first === undefined) return undefined;
    if (first.stat.isSymbolicLink())
      return { ...first, link: (await readlink(first.path, 'buffer')).toString('latin1'), at };
    if (!first.stat.isDirectory() && at < parts.length - 1) return undefined;
    found = first;
    current = next;
  }
  return found;
}

/** An opaque root hides all layers below it. */
function cutAtOpaqueRoot(layers: StackedLayer[]): StackedLayer[] {
  const last = layers.findIndex(({ opaque }) => opaque.has(''));
  return last < 0 ? layers : layers.slice(0, last + 1);
}

async function lstatOrNothing(path: Buffer): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function isWhiteout(stat: Stats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0;
}

function partsOf(path: string): string[] {
  return normal(path.split('/'));
}

function normal(parts: string[]): string[] {
  const result: string[] = [];
  for (const part of parts) {
    if (part === '' || part === '.') continue;
    if (part === '..') result.pop();
    else result.push(part);
  }
  return result;
}

function placeIn(layer: StackedLayer, below: string): Buffer {
  return Buffer.concat([Buffer.from(`${layer.directory}/`), Buffer.from(below, 'latin1')]);
}
