/** A tar written without any of the care that real tools take. */

export interface Entry {
  path: string | Buffer;
  /** Default: file, or directory when the path ends in a slash. */
  type?: string;
  link?: string;
  content?: Buffer | string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  /** In place of the content's. */
  size?: number;
  device?: [number, number];
  /** Written into a pax header before the entry. */
  pax?: Record<string, string>;
}

export function tar(entries: Entry[], options: { end?: boolean } = {}): Buffer {
  const parts = entries.flatMap(entryBlocks);
  if (options.end !== false) parts.push(Buffer.alloc(1024));
  return Buffer.concat(parts);
}

function entryBlocks(entry: Entry): Buffer[] {
  const content = Buffer.from(entry.content ?? '');
  const pax = entry.pax ? paxBlocks(entry.pax) : [];
  return [...pax, header(entry, content.length), padded(content)];
}

function paxBlocks(attributes: Record<string, string>): Buffer[] {
  const text = Object.entries(attributes)
    .map(([key, value]) => {
      const rest = Buffer.byteLength(` ${key}=${value}\n`, 'latin1');
      let length = rest + 1;
      while (String(length).length + rest !== length) length = String(length).length + rest;
      return `${length} ${key}=${value}\n`;
    })
    .join('');
  const content = Buffer.from(text, 'latin1');
  return [header({ path: 'pax', type: 'x' }, content.length), padded(content)];
}

export function header(entry: Entry, length: number): Buffer {
  const block = Buffer.alloc(512);
  const path = Buffer.from(entry.path);
  path.copy(block, 0, 0, 100);
  const isDirectory = path.at(-1) === 0x2f;
  const octal = (value: number, at: number, size: number) =>
    block.write(`${value.toString(8).padStart(size - 1, '0')}\0`, at, 'latin1');
  octal(entry.mode ?? (isDirectory ? 0o755 : 0o644), 100, 8);
  octal(entry.uid ?? 0, 108, 8);
  octal(entry.gid ?? 0, 116, 8);
  octal(entry.size ?? length, 124, 12);
  octal(entry.mtime ?? 1_600_000_000, 136, 12);
  block.write(entry.type ?? (isDirectory ? '5' : '0'), 156, 'latin1');
  block.write(entry.link ?? '', 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(entry.device?.[0] ?? 0, 329, 8);
  octal(entry.device?.[1] ?? 0, 337, 8);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}
