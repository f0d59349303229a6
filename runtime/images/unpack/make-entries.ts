/** Makes the entries of a few records: a layer of the agent's own. */

import { startMaker } from './maker.ts';
import { encodeRecord, type UnpackRecord } from './record.ts';

/** Rejects with LayerRefused or UnpackFailed. */
export async function makeEntries(binary: string, directory: string, records: UnpackRecord[]): Promise<void> {
  const maker = startMaker(binary, directory);
  try {
    await maker.write([...records.map(encodeRecord), encodeRecord({ type: 'end', path: '' })]);
    await maker.finish();
  } finally {
    maker.kill();
    await maker.closed;
  }
}
