/** Which sockets of the agent's own network namespace listen on TCP ports. */
import { readFile } from 'node:fs/promises';

/** TCP_LISTEN of the kernel's tcp_states.h. */
const LISTEN = '0A';

/** Port by inode. A kernel without IPv6 has one of the files only. */
export async function listeningSockets(): Promise<Map<string, number>> {
  const tables = await Promise.all(
    ['/proc/self/net/tcp', '/proc/self/net/tcp6'].map((path) => readFile(path, 'latin1').catch(() => '')),
  );
  return new Map(tables.flatMap(parseSocketTable));
}

/** Pure. Lines are `sl local:port remote:port st tx:rx tr:when retransmits uid timeout inode ...`, numbers but the last in hexadecimal. */
export function parseSocketTable(text: string): [inode: string, port: number][] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line): [string, number][] => {
      const fields = line.trim().split(/\s+/);
      const [, local, , state, , , , , , inode] = fields;
      if (state !== LISTEN || local === undefined || inode === undefined) return [];
      return [[inode, Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16)]];
    });
}
