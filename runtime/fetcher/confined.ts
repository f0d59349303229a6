/**
 * Runs system tools on files that nobody trusts: as the task's user without any capability, with no network, and with a root of its own in which there
 * are the system's programs (read-only), the file (read-only) and the sandbox. Whatever links an archive plants, they lead nowhere else.
 */
import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import type { Readable } from 'node:stream';
import type { ExecSession } from '../containerizers/containerizer.ts';
import { runConfined } from '../launcher/exec.ts';
import type { Operation } from '../launcher/operations.ts';
import { ownRoot } from '../launcher/own-root.ts';
import { compileSeccompProfile, defaultSeccompProfile } from '../seccomp/compile.ts';

export interface FetchUser {
  uid: number;
  gid: number;
  supplementalGids?: number[];
  name: string;
}

export interface ConfinedTool {
  argv: string[];
  user: FetchUser;
  /** Appears as /input. `below`: it is resolved below this directory, symbolic links do not lead out. */
  input?: { path: string; below: string };
  /** Appears as /sandbox, the working directory. Default below: its parent. */
  sandbox?: { path: string; below?: string };
  signal?: AbortSignal;
}

export interface ToolRunner {
  /** Resolves with the tool running. */
  start(tool: ConfinedTool): Promise<ExecSession>;
  /** Resolves to the end of what it said on standard error, when its exit code is 0; rejects with ToolFailed. */
  run(tool: ConfinedTool): Promise<void>;
}

export class ToolFailed extends Error {
  override name = 'ToolFailed';
  readonly exitCode: number | undefined;

  constructor(tool: string, { exitCode, signal }: { exitCode?: number; signal?: number }, said: string) {
    const end = signal === undefined ? `exit code ${exitCode}` : `signal ${signal}`;
    super(`${tool} ended with ${end}${said === '' ? '' : `: ${said}`}`);
    this.exitCode = exitCode;
  }
}

const SYSTEM_DIRECTORIES = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'usr', 'nix', 'gnu'];
/** How the loader and Debian's links find programs and libraries. */
const SYSTEM_FILES = ['/etc/ld.so.cache', '/etc/alternatives'];
const MAX_SAID = 2048;
/** getrlimit(2). A dictionary of xz -9 has 64 MiB, the largest of zstd that is unpacked by default 128 MiB. */
const RLIMIT = { CORE: 4, NOFILE: 7, AS: 9 };
const MAX_ADDRESS_SPACE = 1n << 30n;

/** `rootMountPoint`: an empty directory of ours; each tool mounts its own root there, in its own mount namespace. */
export async function createToolRunner(binary: string, rootMountPoint: string): Promise<ToolRunner> {
  const program = await compileSeccompProfile(defaultSeccompProfile(), { capabilities: [] });
  const start = async ({ argv, user, input, sandbox, signal }: ConfinedTool): Promise<ExecSession> => {
    signal?.throwIfAborted();
    const session = await runConfined(binary, {
      containerId: 'fetcher',
      namespaces: { mount: true, pid: true, ipc: true, uts: true, cgroup: true, network: true },
      operations: [
        ...rootOperations(rootMountPoint),
        ...(input ? inputOperations(input) : []),
        ...(sandbox ? sandboxOperations(sandbox) : []),
        { op: 'setMountAttributes', target: '/', set: ['ro'], recursive: false },
        { op: 'pivotRoot' },
        ...privilegeOperations(user),
        { op: 'workingDirectory', path: sandbox ? '/sandbox' : '/' },
        { op: 'noNewPrivileges' },
        { op: 'seccomp', program },
      ],
      argv,
      env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C.UTF-8' },
    });
    const kill = (): void => session.signal(9);
    if (signal?.aborted) kill();
    signal?.addEventListener('abort', kill, { once: true });
    void session.exit.then(() => signal?.removeEventListener('abort', kill));
    return session;
  };
  return {
    start,
    async run(tool) {
      const session = await start(tool);
      session.stdin?.end();
      (session.stdout as Readable).resume();
      await succeeded(session, tool);
    },
  };
}

/** Resolves when the tool has ended well. Its standard output must be read by somebody. */
export async function succeeded(session: ExecSession, { argv, signal }: ConfinedTool): Promise<void> {
  let said = '';
  (session.stderr as Readable).setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(-MAX_SAID);
  });
  const ended = await session.exit;
  signal?.throwIfAborted();
  const text = said
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ')
    .toWellFormed();
  if (ended.exitCode !== 0) throw new ToolFailed(argv[0] === '/bin/sh' ? argv[3]! : argv[0]!, ended, text);
}

function rootOperations(mountPoint: string): Operation[] {
  const operations = ownRoot(mountPoint, '64k');
  for (const name of SYSTEM_DIRECTORIES) {
    const path = `/${name}`;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSymbolicLink()) operations.push({ op: 'symlink', target: readlinkSync(path), path });
    else if (found?.isDirectory()) {
      operations.push({ op: 'mkdir', path, mode: 0o755 });
      operations.push({ op: 'mount', source: path, target: path, flags: ['rbind', 'ro', 'nosuid', 'nodev'] });
    }
  }
  operations.push({ op: 'mkdir', path: '/etc', mode: 0o755 });
  for (const path of SYSTEM_FILES.filter((each) => existsSync(each))) {
    operations.push(
      lstatSync(path).isDirectory() ? { op: 'mkdir', path, mode: 0o755 } : { op: 'createFile', path, mode: 0o644 },
      { op: 'mount', source: path, target: path, flags: ['bind', 'ro', 'nosuid', 'nodev'] },
    );
  }
  // Shells and tar open it.
  operations.push(
    { op: 'mkdir', path: '/dev', mode: 0o755 },
    { op: 'createFile', path: '/dev/null', mode: 0o666 },
    { op: 'mount', source: '/dev/null', target: '/dev/null', flags: ['bind', 'ro', 'nosuid', 'noexec'] },
  );
  return operations;
}

function inputOperations({ path, below }: { path: string; below: string }): Operation[] {
  return [
    { op: 'createFile', path: '/input', mode: 0o644 },
    {
      op: 'mount',
      source: inside(below, path),
      sourceBelow: below,
      target: '/input',
      flags: ['bind', 'ro', 'nosuid', 'nodev', 'noexec'],
    },
  ];
}

function sandboxOperations({ path, below = dirname(path) }: { path: string; below?: string }): Operation[] {
  return [
    { op: 'mkdir', path: '/sandbox', mode: 0o755 },
    {
      op: 'mount',
      source: inside(below, path),
      sourceBelow: below,
      target: '/sandbox',
      flags: ['bind', 'nosuid', 'nodev', 'noexec'],
    },
  ];
}

/** The launcher resolves the source of such a mount as if the directory were its root. */
const inside = (below: string, path: string): string => `/${relative(below, path)}`;

function privilegeOperations({ uid, gid, supplementalGids = [] }: FetchUser): Operation[] {
  const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
  const limit = (resource: number, value: bigint): Operation => ({ op: 'rlimit', resource, soft: value, hard: value });
  return [
    limit(RLIMIT.CORE, 0n),
    limit(RLIMIT.NOFILE, 256n),
    limit(RLIMIT.AS, MAX_ADDRESS_SPACE),
    { op: 'user', uid, gid, groups: supplementalGids },
    { op: 'capabilities', ...none },
  ];
}
