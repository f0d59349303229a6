/**
 * Builds the launcher from its C sources with the machine's compiler: on install (`npm run build:launcher`) or at first use.
 * The result is named by a hash of sources and flags, so changed sources are built anew and a running launcher's file is never replaced.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, constants, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const sources = join(here, 'src');

// biome-ignore format: a list of words
const flags = [
  '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Wshadow', '-Wformat=2', '-Wstrict-prototypes', '-Werror',
  '-fno-strict-aliasing', '-fstack-protector-strong', '-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=2',
  '-Wl,-z,relro,-z,now,-z,noexecstack',
];
/** Tried in order: static needs no loader (memory and start-up), but not every machine has a static libc. */
const linkings = [
  ['-static-pie', '-fPIE', '-s'],
  ['-static', '-s'],
  ['-pie', '-fPIE', '-s'],
];
// biome-ignore format: a list of words
const sanitizers = [
  '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-DNO_SHARED_MEMORY',
];

export class LauncherBuildFailed extends Error {
  override name = 'LauncherBuildFailed';
}

export interface BuildOptions {
  /** With AddressSanitizer and UBSan, dynamically linked: for tests. Default false. */
  sanitize?: boolean;
}

const built = new Map<boolean, Promise<string>>();

/** The path of a launcher binary that matches the sources; builds it when there is none. */
export function buildLauncher({ sanitize = false }: BuildOptions = {}): Promise<string> {
  const known = built.get(sanitize);
  if (known) return known;
  const result = build(sanitize);
  built.set(sanitize, result);
  result.catch(() => built.delete(sanitize));
  return result;
}

async function build(sanitize: boolean): Promise<string> {
  const names = (await readdir(sources)).filter((name) => /\.[ch]$/.test(name)).sort();
  const hash = createHash('sha256').update(JSON.stringify([flags, linkings, process.arch, sanitize]));
  for (const name of names) hash.update(name).update(await readFile(join(sources, name)));
  const id = hash.digest('hex').slice(0, 16);
  return cachedBuild(`tepui-launcher-${sanitize ? 'sanitized-' : ''}${id}`, async (output) => {
    const files = names.filter((name) => name.endsWith('.c')).map((name) => join(sources, name));
    const common = [...flags, `-DBUILD_ID="${id}"`];
    const attempts = sanitize
      ? [[...common.filter((flag) => !/FORTIFY|^-O2/.test(flag)), ...sanitizers]]
      : linkings.map((link) => [...common, ...link]);
    let failure: unknown;
    for (const attempt of attempts) {
      try {
        return void (await compile([...attempt, '-o', output, ...files]));
      } catch (error) {
        if (error instanceof LauncherBuildFailed) throw error;
        failure ??= error;
      }
    }
    throw new LauncherBuildFailed(
      `The launcher did not compile: ${(failure as { stderr?: string }).stderr ?? failure}`,
      { cause: failure },
    );
  });
}

/** Runs the C compiler; returns its standard output. */
export async function compile(args: string[]): Promise<string> {
  try {
    return (await run(process.env.CC ?? 'cc', args, { maxBuffer: 16 << 20 })).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const message =
      `No C compiler: "${process.env.CC ?? 'cc'}" was not found, and the launcher is built on this machine. Install ` +
      '"gcc libc6-dev linux-libc-dev" (Debian, Ubuntu) or "gcc glibc-static kernel-headers" (RPM distributions).';
    throw new LauncherBuildFailed(message, { cause: error });
  }
}

const abandonedMs = 3600_000;
const known = new Set<string>();

/** Paths of all that was built, or found and trusted, so far. */
export function knownBuilds(): string[] {
  return [...known];
}

/** What another process of the same user found to be right, where this one cannot see owners. */
export function trustBuilds(paths: readonly string[]): void {
  for (const path of paths) known.add(path);
}

/** Makes a file once, under a name that says what it was made from; concurrent makers do no harm. Returns its path. */
export async function cachedBuild(name: string, make: (output: string) => Promise<void>): Promise<string> {
  const path = await findOrMake(name, make);
  known.add(path);
  return path;
}

async function findOrMake(name: string, make: (output: string) => Promise<void>): Promise<string> {
  const directories = [
    join(here, 'build'),
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tepui', 'launcher'),
  ];
  for (const directory of directories) {
    const path = join(directory, name);
    if (await isTrusted(path)) return path;
  }
  const directory = await firstWritable(directories);
  await removeAbandoned(directory);
  const temporary = join(directory, `.${name}.${process.pid}`);
  try {
    await make(temporary);
    await rename(temporary, join(directory, name));
  } finally {
    await rm(temporary, { force: true });
  }
  return join(directory, name);
}

/** What runs as root must not be writable by others. In a user namespace the owner cannot be told any more: it was looked at before. */
async function isTrusted(path: string): Promise<boolean> {
  if (known.has(path)) return true;
  const found = await stat(path).catch(() => undefined);
  if (!found) return false;
  return (found.uid === 0 || found.uid === process.geteuid?.()) && (found.mode & 0o022) === 0;
}

/** What processes that were killed while they made a file have left: nothing takes so long to make. */
async function removeAbandoned(directory: string): Promise<void> {
  for (const name of (await readdir(directory)).filter((each) => /^\..+\.\d+$/.test(each))) {
    const found = await stat(join(directory, name)).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > abandonedMs) await rm(join(directory, name), { force: true });
  }
}

async function firstWritable(directories: string[]): Promise<string> {
  for (const directory of directories) {
    try {
      await mkdir(directory, { recursive: true, mode: 0o755 });
      await access(directory, constants.W_OK);
      const probe = join(directory, `.probe.${process.pid}`);
      await writeFile(probe, '');
      await rm(probe);
      return directory;
    } catch {
      // The next one.
    }
  }
  throw new LauncherBuildFailed(`The launcher cannot be stored: none of ${directories.join(', ')} is writable.`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    console.log(await buildLauncher());
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
