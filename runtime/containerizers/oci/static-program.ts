/** Whether a program needs no dynamic loader, so that it also runs where the host's libraries are not. */
import { closeSync, openSync, readSync } from 'node:fs';

/** elf(5): type of the program header that names the loader. */
const PT_INTERP = 3;

/** Of a 64-bit little-endian ELF file; false for anything else. */
export function isStatic(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const header = Buffer.alloc(64);
    readSync(fd, header, 0, 64, 0);
    if (header.toString('latin1', 0, 4) !== '\x7fELF' || header[4] !== 2 || header[5] !== 1) return false;
    const [offset, size, count] = [
      Number(header.readBigUInt64LE(32)),
      header.readUInt16LE(54),
      header.readUInt16LE(56),
    ];
    const table = Buffer.alloc(size * count);
    readSync(fd, table, 0, table.length, offset);
    return Array.from({ length: count }, (_, index) => table.readUInt32LE(index * size)).every(
      (type) => type !== PT_INTERP,
    );
  } finally {
    closeSync(fd);
  }
}
