/** Where the data of a sparse file is: GNU's old headers, and the three forms that GNU tar writes into pax headers. */
import { BLOCK, decimal, type PaxAttributes, size, TarInvalid } from './tar-header.ts';

export interface Extent {
  offset: number;
  length: number;
}

/** As the launcher's unpack role bounds them. */
export const MOST_EXTENTS = 32 * 1024;

/** The four entries of a header of type S. Returns whether a block with more follows. */
export function oldGnuExtents(block: Buffer, into: Extent[]): { more: boolean; realSize: number } {
  readEntries(block, 386, 4, into);
  return { more: block[482] !== 0, realSize: size(block, 483, 12, 'real size') };
}

/** A block of 21 more. */
export function extensionExtents(block: Buffer, into: Extent[]): { more: boolean } {
  readEntries(block, 0, 21, into);
  return { more: block[504] !== 0 };
}

export interface PaxSparse {
  realSize: number;
  /** undefined: the map is at the beginning of the data (format 1.0). */
  extents: Extent[] | undefined;
}

/** undefined when the file is not sparse. */
export function paxSparse(pax: PaxAttributes): PaxSparse | undefined {
  const major = pax.get('GNU.sparse.major');
  const map = pax.get('GNU.sparse.map');
  if (major === undefined && map === undefined) return undefined;
  const realSize = decimal(pax.get('GNU.sparse.realsize') ?? pax.get('GNU.sparse.size') ?? '', 'size of a sparse file');
  if (map === undefined) {
    if (major !== '1') throw new TarInvalid(`sparse files of format ${Number(major)} are not read`);
    return { realSize, extents: undefined };
  }
  const numbers = map === '' ? [] : map.split(',').map((text) => decimal(text, 'place in a sparse file'));
  return { realSize, extents: pair(numbers) };
}

/** Format 1.0: lines of decimal numbers, the first says how many pairs follow, padded to whole blocks. */
export function createMapReader(): { push(block: Buffer): Extent[] | undefined } {
  let text = '';
  let numbers: number[] = [];
  let wanted: number | undefined;
  return {
    push(block) {
      text += block.toString('latin1');
      const lines = text.split('\n');
      text = lines.pop() as string;
      for (const line of lines) {
        if (wanted !== undefined && numbers.length === wanted) break;
        const number = decimal(line, 'place in a sparse file');
        if (wanted === undefined) wanted = number * 2;
        else numbers.push(number);
      }
      if (wanted !== undefined && wanted > MOST_EXTENTS * 2) throw new TarInvalid('a sparse file has too many parts');
      if (text.length > BLOCK) throw new TarInvalid('a sparse file has no map');
      if (wanted === undefined || numbers.length < wanted) return undefined;
      const extents = pair(numbers);
      numbers = [];
      return extents;
    },
  };
}

/** In order, without overlap, within the file, and as long as the data that is there. Throws TarInvalid. */
export function checkExtents(extents: Extent[], realSize: number, dataSize: number): Extent[] {
  if (extents.length > MOST_EXTENTS) throw new TarInvalid('a sparse file has too many parts');
  let end = 0;
  let sum = 0;
  for (const { offset, length } of extents) {
    if (offset < end || !Number.isSafeInteger(offset + length))
      throw new TarInvalid('the parts of a sparse file overlap');
    end = offset + length;
    sum += length;
  }
  if (end > realSize) throw new TarInvalid('a part of a sparse file is behind its end');
  if (sum !== dataSize) throw new TarInvalid('a sparse file has more or less data than its parts');
  // Empty parts only mark the end.
  return extents.filter(({ length }) => length > 0);
}

function readEntries(block: Buffer, start: number, count: number, into: Extent[]): void {
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    if (block[at] === 0) return;
    into.push({
      offset: size(block, at, 12, 'place in a sparse file'),
      length: size(block, at + 12, 12, 'part of a sparse file'),
    });
  }
  if (into.length > MOST_EXTENTS) throw new TarInvalid('a sparse file has too many parts');
}

function pair(numbers: number[]): Extent[] {
  if (numbers.length % 2 !== 0) throw new TarInvalid('the map of a sparse file has an odd end');
  const extents: Extent[] = [];
  for (let index = 0; index < numbers.length; index += 2)
    extents.push({ offset: numbers[index]!, length: numbers[index + 1]! });
  return extents;
}
