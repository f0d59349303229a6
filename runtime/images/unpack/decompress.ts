/** gzip, zstd or nothing, told apart by the first bytes: media types of layers are often wrong. */
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { LayerRefused } from './layer-entries.ts';

/** Large pieces: each costs a turn through the thread pool, on either side. */
const CHUNK = 1024 * 1024;
const INPUT = 256 * 1024;

const UNREADABLE: [name: string, magic: Buffer][] = [
  ['bzip2', Buffer.from('BZh')],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a])],
];

/** Yields the plain bytes. Rejects with whatever the source rejects with, or LayerRefused. */
export async function* decompress(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  const first = await takeFirst(iterator);
  const kind = await kindOf(first, iterator);
  const all = rest(first, iterator);
  if (kind === 'none') {
    yield* all;
    return;
  }
  // The window of zstd is bounded (128 MiB) by its decoder's default.
  const inflate = kind === 'gzip' ? createGunzip({ chunkSize: CHUNK }) : createZstdDecompress({ chunkSize: CHUNK });
  const fed = pipeline(all, inflate);
  fed.catch(() => {});
  try {
    for await (const chunk of inflate) yield chunk as Buffer;
  } catch (error) {
    if (isCorrupt(error))
      throw new LayerRefused(`it is no valid ${kind}: ${(error as Error).message}`, { cause: error });
    throw error;
  }
  // What the source finds wrong at its end (its digest) comes after the last piece.
  await fed;
}

/** What is refused is not read on: its file or connection is closed. */
async function kindOf(first: Buffer, iterator: AsyncIterator<Buffer>): Promise<ReturnType<typeof compressionOf>> {
  try {
    return compressionOf(first);
  } catch (error) {
    await iterator.return?.();
    throw error;
  }
}

function compressionOf(first: Buffer): 'gzip' | 'zstd' | 'none' {
  if (first[0] === 0x1f && first[1] === 0x8b) return 'gzip';
  if (first.length >= 4) {
    const magic = first.readUInt32LE(0);
    // A zstd frame, or one that is to be skipped before it.
    if (magic === 0xfd2fb528 || (magic >= 0x184d2a50 && magic <= 0x184d2a5f)) return 'zstd';
  }
  for (const [name, magic] of UNREADABLE)
    if (first.subarray(0, magic.length).equals(magic)) throw new LayerRefused(`${name} compression is not read`);
  return 'none';
}

/** At least the bytes that tell the kind, if there are so many. */
async function takeFirst(iterator: AsyncIterator<Buffer>): Promise<Buffer> {
  let first: Buffer = Buffer.alloc(0);
  while (first.length < 8) {
    const next = await iterator.next();
    if (next.done) break;
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
  }
  return first;
}

async function* rest(first: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  let pieces = [first];
  let length = first.length;
  try {
    for (;;) {
      const next = await iterator.next();
      if (next.done) break;
      pieces.push(next.value);
      length += next.value.length;
      if (length < INPUT) continue;
      yield Buffer.concat(pieces);
      pieces = [];
      length = 0;
    }
    if (length > 0) yield Buffer.concat(pieces);
  } finally {
    await iterator.return?.();
  }
}

function isCorrupt(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return (
    typeof code === 'string' &&
    (code.startsWith('Z_') || code.startsWith('ZSTD_') || code === 'ERR_TRAILING_JUNK_AFTER_STREAM_END')
  );
}
