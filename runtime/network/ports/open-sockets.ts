/** Which sockets a process has open. */
import { readdir, readlink } from 'node:fs/promises';

/** Inodes; none for a process that has ended meanwhile. */
export async function openSockets(pid: number): Promise<string[]> {
  const directory = `/proc/${pid}/fd`;
  const files = await readdir(directory).catch(() => []);
  const links = await Promise.all(files.map((file) => readlink(`${directory}/${file}`).catch(() => '')));
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}
