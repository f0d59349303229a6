/** One layer from its compressed bytes to files: decompress, check, read the tar, and let the launcher's `unpack` role make the entries. */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { decompress } from './decompress.ts';
import { createLayerEntries, LayerRefused, type LayerShape } from './layer-entries.ts';
import { startMaker } from './maker.ts';
import { encodeRecord } from './record.ts';
import { TarInvalid } from './tar-header.ts';
import { createTarReader } from './tar-reader.ts';

export interface UnpackLayer {
  /** The launcher. */
  binary: string;
  /** Exists and is empty. */
  directory: string;
  /** The blob; it checks its own digest and rejects at the end when that is wrong. */
  source: AsyncIterable<Buffer>;
  /** Digest of the tar. */
  diffId: string;
  /** Most bytes of the tar: what a small file can be blown up to. */
  maxBytes: number;
  /** Called now and then; rejects when the disk has too little space left. */
  checkSpace?: () => Promise<void>;
  signal?: AbortSignal;
}

export interface UnpackedLayer extends LayerShape {
  /** Bytes of file content. */
  bytes: number;
}

/** Hashed and read at once: others have their turn in between, for this may be the thread that launches tasks. */
const SLICE = 256 * 1024;
const SPACE_CHECK_BYTES = 64 * 2 ** 20;

/** Rejects with LayerRefused, UnpackFailed, the signal's reason, or what the source rejects with; the directory is then to be thrown away. */
export async function unpackLayer(layer: UnpackLayer): Promise<UnpackedLayer> {
  const { signal } = layer;
  signal?.throwIfAborted();
  const maker = startMaker(layer.binary, layer.directory);
  const entries = createLayerEntries();
  const stop = (): void => void maker.kill();
  signal?.addEventListener('abort', stop);
  try {
    const parts: Buffer[] = [];
    const reader = createTarReader({
      entry(entry) {
        const record = entries.take(entry);
        skipData = record === undefined;
        if (record !== undefined) parts.push(encodeRecord(record));
      },
      data(bytes) {
        if (!skipData) parts.push(bytes);
      },
    });
    let skipData = false;
    const hash = createHash(algorithmOf(layer.diffId));
    let total = 0;
    let unchecked = 0;
    for await (const chunk of decompress(layer.source)) {
      signal?.throwIfAborted();
      total += chunk.length;
      unchecked += chunk.length;
      if (total > layer.maxBytes) throw new LayerRefused(`it unpacks to more than ${layer.maxBytes} bytes`);
      for (let at = 0; at < chunk.length; at += SLICE) {
        const slice = chunk.subarray(at, at + SLICE);
        hash.update(slice);
        reader.push(slice);
        await maker.write(parts.splice(0));
        await nextTurn();
      }
      if (unchecked >= SPACE_CHECK_BYTES) {
        unchecked = 0;
        await layer.checkSpace?.();
      }
    }
    reader.end();
    const diffId = `${algorithmOf(layer.diffId)}:${hash.digest('hex')}`;
    if (diffId !== layer.diffId)
      throw new LayerRefused(`its content is ${diffId}, and the image's configuration says ${layer.diffId}`);
    for (const record of entries.times()) parts.push(encodeRecord(record));
    parts.push(encodeRecord({ type: 'end', path: '' }));
    await maker.write(parts);
    const { bytes, leftOut } = await maker.finish();
    const shape = entries.shape();
    return { ...shape, leftOut: shape.leftOut + leftOut, bytes };
  } catch (error) {
    maker.kill();
    signal?.throwIfAborted();
    if (error instanceof TarInvalid) throw new LayerRefused(`it is no valid tar: ${error.message}`, { cause: error });
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    await maker.closed;
  }
}

function algorithmOf(digest: string): string {
  return digest.slice(0, digest.indexOf(':'));
}
