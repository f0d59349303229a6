/** Named files of an image on disk: in a directory, or in a tar whose entries are found once and then read at their places. */
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { SourceFailed } from '../image-source.ts';
import {
  applyPax,
  BLOCK,
  isBlank,
  type PaxAttributes,
  parseHeader,
  parsePax,
  printable,
  TarInvalid,
} from '../unpack/tar-header.ts';
import { openAllowed } from './open-allowed.ts';

export interface FileTree {
  /** Rejects with SourceFailed when there is none, or more than `most` bytes of it. */
  read(name: string, most: number): Promise<Buffer>;
  size(name: string): Promise<number>;
  /** From the first byte on. */
  stream(name: string): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

const CHUNK = 256 * 1024;

export function directoryTree(directory: string, allowed: string[] | undefined): FileTree {
  const opened = async <T>(name: string, use: (file: FileHandle, size: number) => Promise<T>): Promise<T> => {
    const file = await openAllowed(join(directory, name), allowed);
    try {
      return await use(file, (await file.stat()).size);
    } finally {
      await file.close();
    }
  };
  return {
    read: (name, most) => opened(name, (file, size) => readPart(file, { offset: 0, size }, most, name)),
    size: (name) => opened(name, async (_file, size) => size),
    async *stream(name) {
      const file = await openAllowed(join(directory, name), allowed);
      try {
        yield* streamPart(file, { offset: 0, size: (await file.stat()).size });
      } finally {
        await file.close();
      }
    },
    close: async () => {},
  };
}

interface Part {
  offset: number;
  size: number;
}

type Entry = Part | { link: string };

/** The tree takes the file over and closes it. Rejects with TarInvalid. */
export async function tarTree(file: FileHandle): Promise<FileTree> {
  const entries = await findEntries(file);
  const partOf = (name: string): Part => {
    let at = name;
    for (let links = 0; links < 8; links++) {
      const entry = entries.get(at);
      if (entry === undefined) throw new SourceFailed(`the archive has no "${printable(at)}"`, { notFound: true });
      if (!('link' in entry)) return entry;
      at = entry.link;
    }
    throw new SourceFailed(`"${printable(name)}" in the archive is a link without end`);
  };
  return {
    read: async (name, most) => readPart(file, partOf(name), most, name),
    size: async (name) => partOf(name).size,
    stream: (name) => streamPart(file, partOf(name)),
    close: () => file.close(),
  };
}

const MOST_META = 1 << 20;
const MOST_ENTRIES = 100_000;

async function findEntries(file: FileHandle): Promise<Map<string, Entry>> {
  const found = new Map<string, Entry>();
  const { size: end } = await file.stat();
  let pax: PaxAttributes = new Map();
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= end; ) {
    const block = await readExactly(file, at, BLOCK);
    if (isBlank(block)) break;
    const header = parseHeader(block);
    at += BLOCK;
    if (header.type === 'x' || header.type === 'L' || header.type === 'K' || header.type === 'g') {
      if (header.size > MOST_META || at + header.size > end) throw new TarInvalid('a header is too long');
      const meta = await readExactly(file, at, header.size);
      if (header.type === 'x') pax = parsePax(meta);
      if (header.type === 'L') longName = meta.toString('latin1').split('\0', 1)[0];
    } else {
      if (longName !== undefined) header.path = longName;
      applyPax(header, pax);
      const name = normal(header.path);
      if (header.type === '0' || header.type === '7') {
        if (at + header.size > end) throw new TarInvalid('it ends in the middle of an entry');
        found.set(name, { offset: at, size: header.size });
      } else if (header.type === '1') found.set(name, { link: normal(header.link) });
      // `docker save` of old wrote a link where two images share a layer.
      else if (header.type === '2') found.set(name, { link: normal(join('/', name, '..', header.link)) });
      if (found.size > MOST_ENTRIES) throw new TarInvalid(`it has more than ${MOST_ENTRIES} entries`);
      pax = new Map();
      longName = undefined;
    }
    const hasData = !['1', '2', '3', '4', '5', '6'].includes(header.type);
    if (hasData) at += Math.ceil(header.size / BLOCK) * BLOCK;
  }
  return found;
}

function normal(name: string): string {
  return join('/', name).slice(1);
}

async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  for (let got = 0; got < length; ) {
    const { bytesRead } = await file.read(buffer, got, length - got, position + got);
    if (bytesRead === 0) throw new SourceFailed('the file became shorter while it was read');
    got += bytesRead;
  }
  return buffer;
}

async function readPart(file: FileHandle, { offset, size }: Part, most: number, name: string): Promise<Buffer> {
  if (size > most) throw new SourceFailed(`"${printable(name)}" has more than ${most} bytes`);
  return readExactly(file, offset, size);
}

async function* streamPart(file: FileHandle, { offset, size }: Part): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; at += CHUNK) yield await readExactly(file, offset + at, Math.min(CHUNK, size - at));
}
