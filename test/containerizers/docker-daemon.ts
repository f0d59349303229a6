/** A Docker daemon of this test file's own: data, state, socket and cgroups apart from everybody's, and no network of the host touched. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { readEngineVersion } from '../../runtime/containerizers/docker/containerizer.ts';
import { staticBusybox } from '../setup/busybox.ts';
import { aptProblem } from '../setup/debian.ts';
import { SLOW } from '../setup/slow.ts';

export const testImage = 'tepui-test/busybox:1';
const startMs = 60_000 * SLOW;
const KEEPER = new URL('docker-daemon-keeper.ts', import.meta.url).pathname;

export interface DockerDaemon {
  socketPath: string;
  stop(): Promise<void>;
}

/** Why no daemon can be started here, or one that runs. In a network namespace of the test's it has its default bridge; else it has no network. */
export async function startDockerDaemon({ namespace }: { namespace?: string } = {}): Promise<DockerDaemon | string> {
  if (process.getuid?.() !== 0) return 'needs root';
  const busybox = staticBusybox();
  if ('why' in busybox) return busybox.why;
  const missing = aptProblem('docker.io', () => execFileSync('dockerd', ['--version'], { stdio: 'ignore' }));
  if (missing) return missing;
  // Not below /tmp: the engine's containers get an own one, and overlayfs wants a real file system.
  const directory = mkdtempSync('/var/lib/tepui-test-docker-');
  const socketPath = join(directory, 'sock');
  const args = [
    ...[
      '--data-root',
      join(directory, 'data'),
      '--exec-root',
      join(directory, 'exec'),
      '--pidfile',
      join(directory, 'pid'),
    ],
    ...['--host', `unix://${socketPath}`, '--iptables=false', '--ip6tables=false', '--ip-forward=false'],
    '--ip-masq=false',
    ...(namespace === undefined ? ['--bridge', 'none'] : ['--bip', '172.31.0.1/24']),
  ];
  const command = [...(namespace === undefined ? [] : ['nsenter', `--net=${namespace}`]), 'dockerd', ...args];
  const keeper = spawn(process.execPath, [KEEPER, directory, ...command], {
    // Ctrl-C is for the tests.
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  // Tests that are over do not wait for it: it ends with them.
  for (const part of [keeper, keeper.stdin, keeper.stderr] as { unref(): void }[]) part.unref();
  let log = '';
  keeper.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000);
  });
  const stop = async (): Promise<void> => {
    if (keeper.exitCode !== null) return;
    const ended = new Promise((resolve) => keeper.once('exit', resolve));
    keeper.ref();
    keeper.stdin.end();
    await ended;
  };
  const deadline = Date.now() + startMs;
  while (Date.now() < deadline && keeper.exitCode === null) {
    if (
      await readEngineVersion(socketPath).then(
        () => true,
        () => false,
      )
    ) {
      await importImage(socketPath, busybox.path, directory);
      return { socketPath, stop };
    }
    await delay(200);
  }
  await stop();
  return `a Docker daemon cannot be started here: ${log.trim().split('\n').at(-1)}`;
}

/** One layer: /bin with every applet. */
async function importImage(socketPath: string, busybox: string, directory: string): Promise<void> {
  const root = join(directory, 'image');
  mkdirSync(join(root, 'bin'), { recursive: true });
  for (const name of ['etc', 'tmp', 'mnt']) mkdirSync(join(root, name));
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync(busybox, join(root, 'bin/busybox'));
  for (const name of execFileSync(busybox, ['--list']).toString().trim().split('\n'))
    if (name !== 'busybox') symlinkSync('busybox', join(root, 'bin', name));
  const tar = execFileSync('tar', ['-c', '--numeric-owner', '--owner=0', '--group=0', '-C', root, '.'], {
    maxBuffer: 64 << 20,
  });
  const [repository, tag] = testImage.split(':') as [string, string];
  const path = `/v1.41/images/create?fromSrc=-&repo=${encodeURIComponent(repository)}&tag=${tag}`;
  await new Promise<void>((resolve, reject) => {
    const upload = request({
      socketPath,
      method: 'POST',
      path,
      headers: { host: 'docker', 'content-type': 'application/x-tar' },
    });
    upload
      .once('error', reject)
      .once('response', (response) =>
        text(response).then((answer) => (response.statusCode === 200 ? resolve() : reject(new Error(answer))), reject),
      );
    upload.end(tar);
  });
}
