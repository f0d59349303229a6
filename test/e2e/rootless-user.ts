/** A user of his own, with what a login gives to a real one: a home, a runtime directory, ids, and a cgroup. The machine's files stay as they are. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cliCommand } from '../../cli/self.ts';

/** Nobody's on any machine. */
const UID = 1_812_345;
const NAME = 'tepui-test-user';
const CGROUPS = '/sys/fs/cgroup';

export interface Run {
  stdout: string;
  stderr: string;
  status: number | null;
}

export interface TestUser {
  uid: number;
  home: string;
  /** The cgroup that is delegated to him. */
  cgroup: string;
  dataDir: string;
  runtimeDir: string;
  /** Starts a tepui command in a cgroup. */
  start(words: string[], cgroup?: string): ChildProcess;
  /** Runs one to its end, in no cgroup of his. */
  run(words: string[], cgroup?: string): Run;
  remove(): void;
}

/** `controllers` and `subordinateIds`: what is delegated to him, and the ids that he has beside his own. */
export function makeUser({
  controllers = ['cpu', 'memory', 'pids'],
  subordinateIds = true,
}: {
  controllers?: string[];
  subordinateIds?: boolean;
} = {}): TestUser {
  // Not below /tmp, which tasks do not see: the data directory is in it, as with real users.
  const directory = mkdtempSync('/var/lib/tepui-rootless-');
  chmodSync(directory, 0o755);
  const home = own(join(directory, 'home'));
  const runtimeDir = own(join(directory, 'run'));
  const slice = `${CGROUPS}/${directory.split('/').at(-1)}`;
  const cgroup = `${slice}/user`;
  if (existsSync(`${CGROUPS}/cgroup.subtree_control`)) delegate(slice, cgroup, controllers);
  const etc = join(directory, 'etc');
  mkdirSync(etc);
  write(join(etc, 'passwd'), `${readFileSync('/etc/passwd', 'utf8')}${NAME}:x:${UID}:${UID}::${home}:/bin/sh\n`);
  write(join(etc, 'group'), `${readFileSync('/etc/group', 'utf8')}${NAME}:x:${UID}:\n`);
  for (const name of ['subuid', 'subgid']) write(join(etc, name), subordinateIds ? `${NAME}:200000:65536\n` : '');

  const command = (words: string[], group: string | undefined): string[] => {
    const binds = ['passwd', 'group', 'subuid', 'subgid'].map(
      (name) => `[ ! -e /etc/${name} ] || mount --bind ${etc}/${name} /etc/${name}`,
    );
    const join = group === undefined ? [] : [`echo $$ >${group}/cgroup.procs`];
    const identity = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups'];
    const env = ['env', '-i', `PATH=${process.env.PATH}`, `HOME=${home}`, `XDG_RUNTIME_DIR=${runtimeDir}`];
    // A compiled module is not compiled again: on an emulated machine that is most of the time.
    env.push(`NODE_COMPILE_CACHE=${home}/.cache/node`);
    const script = [...binds, ...join, 'exec "$@"'].join('; ');
    return ['unshare', '--mount', 'sh', '-c', script, 'sh', ...identity, ...env, ...cliCommand(words)];
  };
  return {
    uid: UID,
    home,
    cgroup,
    dataDir: join(home, '.local/share/tepui'),
    runtimeDir,
    start(words, group) {
      const [program, ...args] = command(words, group);
      return spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: home });
    },
    run(words, group) {
      const [program, ...args] = command(words, group);
      const { stdout, stderr, status } = spawnSync(program!, args, { encoding: 'utf8', cwd: home });
      return { stdout, stderr, status };
    },
    remove() {
      for (const group of [cgroup, slice]) if (existsSync(group)) rmdirSync(group);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function own(path: string): string {
  mkdirSync(path, { mode: 0o700 });
  chownSync(path, UID, UID);
  return path;
}

/** For everybody to read, as the files of /etc are. */
function write(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o644 });
}

/** As cgroups(7) says: the directory, and the files with which groups below it are made. The group above decides which controllers are there. */
function delegate(slice: string, cgroup: string, controllers: string[]): void {
  const on = controllers.map((name) => `+${name}`).join(' ');
  writeFileSync(`${CGROUPS}/cgroup.subtree_control`, on);
  mkdirSync(slice);
  writeFileSync(`${slice}/cgroup.subtree_control`, on);
  mkdirSync(cgroup);
  for (const name of ['', 'cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads'])
    chownSync(join(cgroup, name), UID, UID);
}
