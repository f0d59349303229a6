/** Puts a file that is on this machine into a sandbox, as its plan says; everything is written by the task's user, below the sandbox. */
import { createReadStream } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import { type FetchUser, succeeded, type ToolRunner } from './confined.ts';
import type { FetchPlan } from './plan.ts';

export interface Placement {
  plan: FetchPlan;
  /** The file, and a directory that it is in. */
  input: { path: string; below: string };
  sandbox: { path: string; below?: string };
  user: FetchUser;
  /** Whether an archive is put into the sandbox too; as in Mesos, not when it comes from the cache. */
  keepArchive: boolean;
  signal?: AbortSignal;
}

/** $1 directory, $2 path, $3 mode. The old file is unlinked and not written into: it may be a link, or be in use. */
const COPY = 'mkdir -p -- "$1" && rm -f -- "$2" && cat /input >"$2" && chmod "$3" -- "$2"';
const GUNZIP = 'mkdir -p -- "$1" && rm -f -- "$2" && gzip -dc </input >"$2"';
/** Nobody's owners are restored; as root, tar would try. It finds out the compression by itself. */
const UNTAR = 'tar -x -o -f /input';
const UNTAR_STREAM = 'tar -x -o -f -';
const UNZIP =
  'if command -v unzip >/dev/null; then exec unzip -q -o /input; elif command -v bsdtar >/dev/null; then exec bsdtar -x -o -f /input; ' +
  'elif command -v busybox >/dev/null; then exec busybox unzip -q -o /input; fi; echo "there is no unzip on this agent: install unzip or bsdtar" >&2; exit 127';

/** Rejects with ToolFailed, or the signal's reason. What was written until then stays: the task fails, its sandbox goes in time. */
export async function place(tools: ToolRunner, placement: Placement): Promise<void> {
  const { plan, keepArchive, input } = placement;
  if (!plan.unpack || keepArchive) {
    await shell(tools, placement, 'copy', COPY, [...target(plan.destination), plan.mode.toString(8)]);
  }
  switch (plan.unpack) {
    case 'Tar':
      if (await isZstd(input.path)) return untarZstd(tools, placement);
      return shell(tools, placement, 'tar', UNTAR);
    case 'Unzip':
      return shell(tools, placement, 'unzip', UNZIP);
    case 'Gunzip':
      return shell(tools, placement, 'gzip', GUNZIP, target(plan.unpackedDestination ?? plan.destination));
    case undefined:
  }
}

const target = (path: string): [string, string] => [`./${dirname(path)}`, `./${path}`];

function shell(
  tools: ToolRunner,
  placement: Placement,
  name: string,
  script: string,
  more: string[] = [],
): Promise<void> {
  const { input, sandbox, user, signal } = placement;
  return tools.run({ argv: ['/bin/sh', '-c', script, name, ...more], input, sandbox, user, ...(signal && { signal }) });
}

/** Not every machine has a zstd program, and the JavaScript runtime does. */
async function untarZstd(tools: ToolRunner, { input, sandbox, user, signal }: Placement): Promise<void> {
  const tool = { argv: ['/bin/sh', '-c', UNTAR_STREAM, 'tar'], sandbox, user, ...(signal && { signal }) };
  const session = await tools.start(tool);
  (session.stdout as Readable).resume();
  const ended = succeeded(session, tool);
  ended.catch(() => {});
  try {
    await pipeline(createReadStream(input.path), createZstdDecompress(), session.stdin!, { signal });
  } catch (error) {
    // A tool that ended early closes its input; why it did tells more. Otherwise the file is damaged.
    session.signal(9);
    await ended.catch((failure: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') throw failure;
    });
    throw error;
  }
  await ended;
}

async function isZstd(path: string): Promise<boolean> {
  const stream = createReadStream(path, { end: 3 });
  for await (const chunk of stream) return (chunk as Buffer).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]));
  return false;
}
