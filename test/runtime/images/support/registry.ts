/** Debian's docker-registry on a free port of the loopback, with or without TLS and passwords. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SLOW } from '../../../setup/slow.ts';

export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  host: string;
  /** PEM of its certificate's authority, with TLS. */
  caFile?: string;
  /** Copies with skopeo: `source` is `oci:...`, `docker-archive:...`. */
  push(source: string, repositoryAndTag: string, ...options: string[]): void;
  close(): Promise<void>;
}

export interface TestRegistryOptions {
  tls?: boolean;
  /** Needs this login (HTTP Basic). */
  login?: { user: string; password: string };
}

export async function startRegistry(directory: string, options: TestRegistryOptions = {}): Promise<TestRegistry> {
  await mkdir(directory, { recursive: true });
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const caFile = join(directory, 'cert.pem');
  if (options.tls) makeCertificate(caFile, join(directory, 'key.pem'));
  if (options.login) {
    const { user, password } = options.login;
    await writeFile(join(directory, 'htpasswd'), execFileSync('htpasswd', ['-Bbn', user, password]));
  }
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'storage') }, delete: { enabled: true } },
    http: {
      addr: host,
      ...(options.tls && { tls: { certificate: caFile, key: join(directory, 'key.pem') } }),
    },
    ...(options.login && { auth: { htpasswd: { realm: 'test', path: join(directory, 'htpasswd') } } }),
  };
  // JSON is YAML.
  await writeFile(join(directory, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(directory, 'config.yml')], { stdio: 'ignore' });
  await listening(port, child);
  return {
    host,
    ...(options.tls && { caFile }),
    push(source, name, ...more) {
      const login = options.login ? ['--dest-creds', `${options.login.user}:${options.login.password}`] : [];
      execFileSync(
        'skopeo',
        ['copy', '--quiet', '--dest-tls-verify=false', ...login, ...more, source, `docker://${host}/${name}`],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
    },
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.kill('SIGKILL')) await ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 30_000 * SLOW; ; await sleep(20)) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended with ${child.exitCode}`);
    const answers = await readFile('/proc/net/tcp', 'utf8');
    const hex = port.toString(16).toUpperCase().padStart(4, '0');
    if (answers.includes(`0100007F:${hex} 00000000:0000 0A`)) return;
    if (Date.now() > deadline) throw new Error('docker-registry does not listen');
  }
}

function makeCertificate(cert: string, key: string): void {
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=test registry',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      key,
      '-out',
      cert,
    ],
    { stdio: 'ignore' },
  );
}
