/** A tar stream, read piece by piece and without trust: pax, GNU and ustar headers, long names, sparse files. */
import { checkExtents, createMapReader, type Extent, extensionExtents, oldGnuExtents, paxSparse } from './sparse.ts';
import {
  applyPax,
  BLOCK,
  isBlank,
  type PaxAttributes,
  parseHeader,
  parsePax,
  type TarHeader,
  TarInvalid,
} from './tar-header.ts';

export type TarEntryKind = 'file' | 'directory' | 'symlink' | 'hardLink' | 'fifo' | 'device';

export interface TarEntry extends TarHeader {
  kind: TarEntryKind;
  /** Of pax headers, among them `SCHILY.xattr.*`. */
  pax: PaxAttributes;
  /** Of sparse files: where the data belongs; `size` is then that of the whole file. */
  extents?: Extent[];
}

export interface TarSink {
  /** Files: exactly their data follows (that of the extents, if there are any). */
  entry(entry: TarEntry): void;
  /** A view of what was pushed: copy it if it must live longer than the call. */
  data(bytes: Buffer): void;
}

export interface TarReader {
  push(bytes: Buffer): void;
  /** Throws TarInvalid when the stream ended in the middle of an entry. */
  end(): void;
}

/** pax headers and long names; none of the kernel's own limits is near. */
const MOST_META = 1 << 20;

const KINDS: Record<string, TarEntryKind> = {
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardLink',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  D: 'directory',
  '6': 'fifo',
};

/** Throws TarInvalid out of `push` and `end`; after that the reader is of no more use. */
export function createTarReader(sink: TarSink): TarReader {
  const block = Buffer.alloc(BLOCK);
  let filled = 0;
  /** What blocks mean now. */
  let state: (block: Buffer) => void = onHeader;
  /** Bytes of the entry's data and its padding that are still to come; outside of blocks. */
  let left = 0;
  let padding = 0;
  let onData: (bytes: Buffer) => void = () => {};
  let globals: PaxAttributes = new Map();
  let locals: PaxAttributes = new Map();
  let longName: string | undefined;
  let longLink: string | undefined;
  let ended = false;

  function body(length: number, consume: (bytes: Buffer) => void): void {
    left = length;
    padding = (BLOCK - (length % BLOCK)) % BLOCK;
    onData = consume;
    state = onHeader;
  }

  function onHeader(bytes: Buffer): void {
    if (isBlank(bytes)) {
      state = onSecondBlank;
      return;
    }
    const header = parseHeader(bytes);
    if (isMeta(header.type)) collectMeta(header);
    else begin(header, bytes);
  }

  function onSecondBlank(bytes: Buffer): void {
    if (!isBlank(bytes)) throw new TarInvalid('an entry follows after a block of zeros');
    ended = true;
  }

  function collectMeta({ type, size }: TarHeader): void {
    if (size > MOST_META) throw new TarInvalid('a header has more than 1 MiB');
    const parts: Buffer[] = [];
    let missing = size;
    const finish = (): void => {
      const bytes = Buffer.concat(parts);
      if (type === 'g') globals = new Map([...globals, ...parsePax(bytes)]);
      else if (type === 'x' || type === 'X') locals = parsePax(bytes);
      else {
        const name = bytes.toString('latin1').split('\0', 1)[0] as string;
        if (type === 'L') longName = name;
        else longLink = name;
      }
    };
    body(size, (bytes) => {
      parts.push(Buffer.from(bytes));
      missing -= bytes.length;
      if (missing === 0) finish();
    });
    if (size === 0) finish();
  }

  function begin(header: TarHeader, bytes: Buffer): void {
    const pax = globals.size === 0 ? locals : new Map([...globals, ...locals]);
    if (longName !== undefined) header.path = longName;
    if (longLink !== undefined) header.link = longLink;
    applyPax(header, pax);
    locals = new Map();
    longName = longLink = undefined;
    if (header.type === 'V') {
      body(header.size, () => {});
      return;
    }
    let kind = KINDS[header.type];
    if (kind === undefined) throw new TarInvalid(`entries of type ${JSON.stringify(header.type)} are not read`);
    // Before there was a type for directories, a slash at the end said it.
    if (kind === 'file' && header.path.endsWith('/')) kind = 'directory';
    const entry: TarEntry = { ...header, kind, pax };
    if (kind !== 'file') {
      sink.entry(entry);
      // Only dumps have data behind a directory; links may have a size, but never data.
      body(header.type === 'D' ? header.size : 0, () => {});
      return;
    }
    const sparse = paxSparse(pax);
    if (header.type === 'S') beginOldSparse(entry, bytes);
    else if (sparse === undefined) beginData(entry);
    else if (sparse.extents !== undefined) beginSparse(entry, sparse.extents, sparse.realSize);
    else beginMappedSparse(entry, sparse.realSize);
  }

  function beginData(entry: TarEntry, dataSize = entry.size): void {
    sink.entry(entry);
    body(dataSize, (bytes) => sink.data(bytes));
  }

  function beginSparse(entry: TarEntry, extents: Extent[], realSize: number): void {
    const dataSize = entry.size;
    beginData({ ...entry, size: realSize, extents: checkExtents(extents, realSize, dataSize) }, dataSize);
  }

  function beginOldSparse(entry: TarEntry, bytes: Buffer): void {
    const extents: Extent[] = [];
    const { more, realSize } = oldGnuExtents(bytes, extents);
    const begin = (): void => beginSparse(entry, extents, realSize);
    if (!more) begin();
    else
      state = (next) => {
        if (!extensionExtents(next, extents).more) begin();
      };
  }

  function beginMappedSparse(entry: TarEntry, realSize: number): void {
    const map = createMapReader();
    let rest = entry.size;
    state = (next) => {
      rest -= BLOCK;
      if (rest < 0) throw new TarInvalid('a sparse file has no map');
      const extents = map.push(next);
      if (extents !== undefined) beginSparse({ ...entry, size: rest }, extents, realSize);
    };
  }

  return {
    push(bytes) {
      for (let at = 0; at < bytes.length && !ended; ) {
        if (left > 0) {
          const part = Math.min(left, bytes.length - at);
          left -= part;
          onData(bytes.subarray(at, at + part));
          at += part;
        } else if (padding > 0) {
          const part = Math.min(padding, bytes.length - at);
          padding -= part;
          at += part;
        } else if (filled === 0 && bytes.length - at >= BLOCK) {
          state(bytes.subarray(at, at + BLOCK));
          at += BLOCK;
        } else {
          const part = Math.min(BLOCK - filled, bytes.length - at);
          bytes.copy(block, filled, at, at + part);
          filled += part;
          at += part;
          if (filled < BLOCK) continue;
          filled = 0;
          state(block);
        }
      }
    },
    end() {
      const atEntry = left === 0 && padding === 0 && filled === 0;
      // Many programs leave the blocks of zeros at the end out, or one of them.
      if (!ended && !(atEntry && (state === onHeader || state === onSecondBlank)))
        throw new TarInvalid('it ends in the middle of an entry');
      if (!ended && (locals.size > 0 || longName !== undefined || longLink !== undefined))
        throw new TarInvalid('it ends after a header without an entry');
    },
  };
}

function isMeta(type: string): boolean {
  return type === 'x' || type === 'X' || type === 'g' || type === 'L' || type === 'K';
}
