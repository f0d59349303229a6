/**
 * From the entries of a layer's tar to records for the launcher: names made relative and refused when they lead out, OCI whiteouts turned
 * into overlayfs's, extended attributes chosen, devices left out.
 */
import type { UnpackRecord } from './record.ts';
import { printable } from './tar-header.ts';
import type { TarEntry } from './tar-reader.ts';

/** The layer asks for something that no layer may have. */
export class LayerRefused extends Error {
  override name = 'LayerRefused';
}

/** What must be known of a layer besides its files. Paths are bytes as latin1. */
export interface LayerShape {
  entries: number;
  /** Directories that the layer has without describing them: theirs is what lower layers say. "" is the root. */
  implied: string[];
  /** Directories that hide what lower layers have in them. */
  opaque: string[];
  /** Device files, attributes of no meaning here, metadata of AUFS: not unpacked. */
  leftOut: number;
}

export interface LayerEntries {
  /** What to carry out for an entry; undefined when it is left out. Throws LayerRefused. */
  take(entry: TarEntry): UnpackRecord | undefined;
  /** Times of directories, which everything made in them changes: at the end. */
  times(): Iterable<UnpackRecord>;
  shape(): LayerShape;
}

const WHITEOUT = '.wh.';
const METADATA = '.wh..wh.';
const OPAQUE = '.wh..wh..opq';
const MOST_PATH = 4095;
const MOST_XATTRS = 256 * 1024;

export interface LayerLimits {
  /** Entries of one layer. Default: 5 million. */
  entries?: number;
  /** Bytes of directory names that are remembered. Default: 256 MiB. */
  nameBytes?: number;
}

/** Pure but for what it remembers. */
export function createLayerEntries(limits: LayerLimits = {}): LayerEntries {
  const { entries: mostEntries = 5_000_000, nameBytes: mostNameBytes = 256 * 2 ** 20 } = limits;
  const described = new Map<string, { seconds: number; nanoseconds: number }>();
  const parents = new Set<string>();
  const opaque = new Set<string>();
  const whiteouts = new Set<string>();
  let lastParent: string | undefined;
  let entries = 0;
  let leftOut = 0;
  let nameBytes = 0;

  function remember(name: string): void {
    nameBytes += name.length + 64;
    if (nameBytes > mostNameBytes) throw new LayerRefused('its directories have too many and too long names');
  }

  function addParents(path: string): void {
    const parent = parentOf(path);
    if (parent === lastParent) return;
    lastParent = parent;
    for (
      let at: string | undefined = parent;
      at !== undefined && !parents.has(at);
      at = at === '' ? undefined : parentOf(at)
    ) {
      remember(at);
      parents.add(at);
    }
  }

  function takeWhiteout(path: string, name: string): UnpackRecord | undefined {
    const directory = parentOf(path);
    if (name === OPAQUE) {
      if (!opaque.has(directory)) remember(directory);
      opaque.add(directory);
      return { type: 'opaque', path: directory };
    }
    if (name.startsWith(METADATA)) {
      leftOut++;
      return undefined;
    }
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw new LayerRefused(`"${printable(path)}" hides nothing`);
    const target = directory === '' ? hidden : `${directory}/${hidden}`;
    remember(target);
    whiteouts.add(target);
    return { type: 'whiteout', path: target };
  }

  return {
    take(entry) {
      if (++entries > mostEntries) throw new LayerRefused(`it has more than ${mostEntries} entries`);
      const path = relativePath(entry.path, entry.path);
      if (path.startsWith(METADATA) || path.includes(`/${METADATA}`)) {
        if (path.slice(path.lastIndexOf('/') + 1) !== OPAQUE) {
          leftOut++;
          return undefined;
        }
      }
      if (entry.kind === 'device') {
        leftOut++;
        return undefined;
      }
      addParents(path);
      const name = path.slice(path.lastIndexOf('/') + 1);
      if (name.startsWith(WHITEOUT)) return takeWhiteout(path, name);
      const { chosen, ignored } = chooseXattrs(entry);
      leftOut += ignored;
      const common = {
        path,
        mode: entry.mode,
        uid: owner(entry.uid, 'uid', path),
        gid: owner(entry.gid, 'gid', path),
        seconds: entry.mtimeSeconds,
        nanoseconds: entry.mtimeNanoseconds,
      };
      switch (entry.kind) {
        case 'directory':
          if (!described.has(path)) remember(path);
          described.set(path, { seconds: entry.mtimeSeconds, nanoseconds: entry.mtimeNanoseconds });
          return { ...common, type: 'directory', xattrs: chosen };
        case 'file': {
          const { size, extents } = entry;
          if (extents === undefined) return { ...common, type: 'file', size, xattrs: chosen };
          return { ...common, type: 'sparse', size, extents, xattrs: chosen };
        }
        case 'symlink':
          return { ...common, type: 'symlink', link: linkText(entry.link, path) };
        case 'hardLink':
          return { ...common, type: 'hardLink', link: relativePath(entry.link, path) };
        default:
          return { ...common, type: 'fifo' };
      }
    },
    *times() {
      for (const [path, time] of described) yield { type: 'time', path, ...time };
    },
    shape() {
      const implied = [...parents].filter((path) => !described.has(path));
      for (const path of whiteouts) if (described.has(path) || parents.has(path)) opaque.add(path);
      return { entries, implied, opaque: [...opaque], leftOut };
    },
  };
}

/** Absolute names are meant below the image's root, as everywhere; `..` is nothing that a layer needs. */
function relativePath(name: string, shown: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new LayerRefused(`"${printable(shown)}" has a ".." in its name or link`);
  if (name.includes('\0')) throw new LayerRefused(`"${printable(shown)}" has a NUL in its name or link`);
  const path = parts.join('/');
  if (path.length > MOST_PATH || parts.some((part) => part.length > 255))
    throw new LayerRefused(`"${printable(shown)}" is too long a name`);
  return path;
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** What a symbolic link says is the container's own affair: it is never followed out of the root. */
function linkText(link: string, path: string): string {
  if (link === '' || link.includes('\0') || link.length > MOST_PATH)
    throw new LayerRefused(`"${printable(path)}" is a symbolic link that leads nowhere`);
  return link;
}

function owner(id: number, field: string, path: string): number {
  // 2^32-1 means "leave as it is" to the kernel.
  if (id < 0 || id >= 2 ** 32 - 1) throw new LayerRefused(`"${printable(path)}" has the ${field} ${id}`);
  return id;
}

function chooseXattrs(entry: TarEntry): { chosen: [string, string][]; ignored: number } {
  const chosen: [string, string][] = [];
  let ignored = 0;
  let length = 0;
  for (const [key, value] of entry.pax) {
    if (!key.startsWith('SCHILY.xattr.')) continue;
    const name = key.slice('SCHILY.xattr.'.length);
    length += name.length + value.length + 8;
    if (length > MOST_XATTRS || name.length > 255 || value.length > 65_536)
      throw new LayerRefused(`"${printable(entry.path)}" has too large extended attributes`);
    // Attributes of links and pipes have no use in an image; trusted ones give orders to overlayfs, security ones to security modules.
    const isWanted = entry.kind === 'file' || entry.kind === 'directory';
    if (isWanted && isAllowedXattr(name)) chosen.push([name, value]);
    else ignored++;
  }
  return { chosen, ignored };
}

/** As in src/unpack.c, which refuses all others. */
function isAllowedXattr(name: string): boolean {
  if (name.includes('\0')) return false;
  if (name === 'security.capability') return true;
  if (name === 'system.posix_acl_access' || name === 'system.posix_acl_default') return true;
  return name.startsWith('user.') && name.length > 5 && !name.startsWith('user.overlay.');
}
