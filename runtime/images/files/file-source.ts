/** An image in files on this machine, whichever kind. */
import { createWriteStream } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { ImageSource } from '../image-source.ts';
import { SourceFailed } from '../image-source.ts';
import type { FileReference } from '../reference.ts';
import { decompress } from '../unpack/decompress.ts';
import { dockerArchiveSource } from './docker-archive-source.ts';
import { directoryTree, tarTree } from './file-tree.ts';
import { layoutSource } from './layout-source.ts';
import { openAllowed } from './open-allowed.ts';

export interface FileSourceOptions {
  /** Directories that the file may be in; undefined: anywhere. */
  allowedPaths: string[] | undefined;
  /** Where a compressed archive is unpacked to for as long as it is open: a name that does not exist. */
  temporaryFile: string;
  /** Most bytes of a compressed archive when unpacked. */
  maxBytes: number;
}

/** Rejects with SourceFailed or TarInvalid. */
export async function fileSource(reference: FileReference, options: FileSourceOptions): Promise<ImageSource> {
  const { kind, path } = reference;
  if (kind === 'oci') return layoutSource(reference, directoryTree(path, options.allowedPaths));
  const file = await openAllowed(path, options.allowedPaths);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    const plain = isCompressed(buffer.subarray(0, bytesRead))
      ? await unpacked(file.createReadStream({ start: 0 }), options)
      : file;
    const tree = await tarTree(plain);
    return kind === 'docker-archive' ? dockerArchiveSource(reference, tree) : layoutSource(reference, tree);
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
}

/** Entries are read at their places, which a compressed file does not have. The copy has no name any more once it is open. */
async function unpacked(source: AsyncIterable<Buffer>, { temporaryFile, maxBytes }: FileSourceOptions) {
  try {
    await pipeline(
      bounded(decompress(source), maxBytes),
      createWriteStream(temporaryFile, { flags: 'wx', mode: 0o600 }),
    );
    return await open(temporaryFile, 'r');
  } finally {
    await unlink(temporaryFile).catch(() => {});
  }
}

async function* bounded(source: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let total = 0;
  for await (const bytes of source) {
    total += bytes.length;
    if (total > maxBytes) throw new SourceFailed(`the archive unpacks to more than ${maxBytes} bytes`);
    yield bytes;
  }
}

function isCompressed(bytes: Buffer): boolean {
  return (bytes[0] === 0x1f && bytes[1] === 0x8b) || (bytes.length === 4 && bytes.readUInt32LE(0) === 0xfd2fb528);
}
