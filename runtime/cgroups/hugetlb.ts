/** Huge pages of one group. The names of the files differ between v1 and v2, what they mean does not. */
import { readdirSync } from 'node:fs';
import { readNumber, writeControl, writeControlIfPresent } from './files.ts';

/** The kernel's name of a page size: 2097152 -> `2MB`. */
export function hugePageName(bytes: number): string {
  if (bytes >= 2 ** 30) return `${bytes / 2 ** 30}GB`;
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20}MB` : `${bytes / 2 ** 10}KB`;
}

/** Sizes in bytes that this kernel can hand out. */
export function hugePageSizes(directory = '/sys/kernel/mm/hugepages'): number[] {
  try {
    return readdirSync(directory)
      .flatMap((name) => /^hugepages-(\d+)kB$/.exec(name)?.[1] ?? [])
      .map((kib) => Number(kib) * 1024);
  } catch {
    return [];
  }
}

/**
 * Most bytes in pages of this size. Reservations are limited as well where the kernel can (5.7), so that a program that asks for more is refused
 * with ENOMEM rather than killed by SIGBUS at first use.
 */
export function limitHugePages(directory: string, version: 'v1' | 'v2', pageBytes: number, limitBytes: number): void {
  const name = `${directory}/hugetlb.${hugePageName(pageBytes)}`;
  const file = version === 'v1' ? 'limit_in_bytes' : 'max';
  writeControl(`${name}.${file}`, limitBytes);
  writeControlIfPresent(`${name}.rsvd.${file}`, limitBytes);
}

/** Bytes in use, by page size. */
export function hugePageUsage(directory: string, version: 'v1' | 'v2', pageBytes: number): number {
  return (
    readNumber(`${directory}/hugetlb.${hugePageName(pageBytes)}.${version === 'v1' ? 'usage_in_bytes' : 'current'}`) ??
    0
  );
}
