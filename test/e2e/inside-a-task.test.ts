/** cp, sandbox and port-forward as a person uses them, on this machine and, over HTTPS, as from another. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cliCommand } from '../../cli/self.ts';
import { Agent } from '../../controllers/machinery/client/resources.ts';
import { processesWith } from '../runtime/launcher/harness.ts';
import { eventually, startSystem, type TestSystem } from './harness.ts';

const unavailable = process.getuid?.() === 0 ? undefined : 'needs root';
if (unavailable) process.stderr.write(`inside a task: skipped: ${unavailable}\n`);

(unavailable ? describe.skip : describe)('inside a task', () => {
  let system: TestSystem;
  let here: string;
  const children: ChildProcess[] = [];
  beforeAll(async () => {
    here = mkdtempSync(join(tmpdir(), 'tepui-cp-'));
    system = await startSystem();
    const script = [
      'mkdir -p tree/sub && seq 20000 > tree/numbers && chmod 640 tree/numbers && echo deep > tree/sub/deep && ln -s numbers tree/link',
      'ln -s /etc/shadow tree/steal && ln -s sub/../../../../out tree/out && printf "a\\033[31mb" > "tree/$(printf "odd\\033[31mname")"',
      'echo ready; exec python3 -c "$SERVER"',
    ].join('\n');
    const server = [
      'import http.server, os, socket, struct, time',
      'class Handler(http.server.BaseHTTPRequestHandler):',
      ' def do_GET(self):',
      '  if self.path == "/broken": return self.broken()',
      '  while self.path == "/endless": self.wfile.write(b"x" * 100000)',
      '  body = b"x" * 300000 if self.path == "/large" else b"hello"',
      '  self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)',
      ' def broken(self):',
      '  self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\nhalf"); self.wfile.flush(); time.sleep(0.2)',
      '  self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); os.close(self.connection.detach())',
      ' def log_message(self, *args): pass',
      'server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)',
      'open("port", "w").write(str(server.server_port))',
      'server.serve_forever()',
    ].join('\n');
    const container = {
      name: 'main',
      shell: script,
      env: [{ name: 'SERVER', value: server }],
      resources: { requests: { cpus: '10m', mem: '64Mi' } },
    };
    // A network of its own: its loopback cannot be reached in any other way.
    const spec = { network: { mode: 'None' }, containers: [container] };
    const document = {
      apiVersion: 'tepui.dev/v1alpha1',
      kind: 'Task',
      metadata: { name: 'box', namespace: 'default' },
      spec,
    };
    system.kubectl(['apply', '-f', '-'], JSON.stringify(document));
    await eventually('the task to be ready', () =>
      tepui('sandbox', 'cat', 'box', 'port').status === 0 ? true : undefined,
    );
  }, 90_000);
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await system?.stop();
    rmSync(here, { recursive: true });
  }, 60_000);

  const tepui = (...args: string[]) => system.tepui(args);

  test('cp brings a directory here, with modes and links, and leaves out what would lead elsewhere', () => {
    const { status, stderr } = tepui('cp', 'box:tree', here);
    expect(stderr.split('\n').sort()).toEqual([
      '',
      expect.stringMatching(/^tepui: left out: tree\/out: a link to .* outside$/),
      expect.stringMatching(/^tepui: left out: tree\/steal: a link to "\/etc\/shadow", which is outside$/),
    ]);
    expect(status).toBe(1);
    expect(readFileSync(join(here, 'tree/numbers'), 'utf8').split('\n')).toHaveLength(20_001);
    expect(statSync(join(here, 'tree/numbers')).mode & 0o777).toBe(0o640);
    expect(readFileSync(join(here, 'tree/sub/deep'), 'utf8')).toBe('deep\n');
    expect(readlinkSync(join(here, 'tree/link'))).toBe('numbers');
    expect(existsSync(join(here, 'tree/steal'))).toBe(false);
  });

  test('cp brings a file here under a new name, and follows no link that lies there', () => {
    writeFileSync(join(here, 'victim'), 'untouched');
    symlinkSync('victim', join(here, 'copy'));
    expect(tepui('cp', 'box:tree/numbers', join(here, 'copy')).status).toBe(0);
    expect(readFileSync(join(here, 'victim'), 'utf8')).toBe('untouched');
    expect(readFileSync(join(here, 'copy'), 'utf8').length).toBe(108_894);
    expect(tepui('cp', 'box:none', here)).toMatchObject({ status: 1, stderr: expect.stringContaining('No such file') });
  });

  test('cp takes files and directories there, into a directory or under a new name', () => {
    mkdirSync(join(here, 'up/inner'), { recursive: true });
    writeFileSync(join(here, 'up/inner/run'), '#!/bin/sh\necho ran', { mode: 0o755 });
    symlinkSync('inner/run', join(here, 'up/link'));
    utimesSync(join(here, 'up/inner/run'), 1e9, 1e9);
    for (const target of ['box:', 'box:renamed'])
      expect(tepui('cp', join(here, 'up'), target)).toMatchObject({ status: 0, stderr: '' });
    const { stdout } = tepui(
      'exec',
      'box',
      '--',
      'sh',
      '-c',
      'up/link && renamed/inner/run && stat -c "%Y %U" up/inner/run',
    );
    expect(stdout).toBe('ran\nran\n1000000000 nobody\n');
    expect(tepui('cp', join(here, 'up/inner/run'), 'box:/etc/evil')).toMatchObject({ status: 1 });
    expect(tepui('cp', join(here, 'none'), 'box:')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('does not exist'),
    });
    expect(tepui('cp', 'a', 'b').status).toBe(2);
  });

  test('cp writes to and reads from pipes as tar', () => {
    const { stdout } = tepui('cp', 'box:tree/sub', '-');
    expect(stdout).toContain('sub/deep');
    expect(system.tepui(['cp', '-', 'box:piped'], stdout)).toMatchObject({ status: 0 });
    expect(tepui('exec', 'box', '--', 'cat', 'piped/deep').stdout).toBe('deep\n');
  });

  test('cp - unpacks a tar into a directory under the names that it has', () => {
    mkdirSync(join(here, 'many/sub'), { recursive: true });
    for (const name of ['one', 'sub/two']) writeFileSync(join(here, 'many', name), `${name}\n`);
    for (const [words, target] of [
      [['one', 'sub'], 'box:/tmp'],
      [['.'], 'box:tree'],
      [['.'], 'box:unpacked'],
    ] as const) {
      const archive = spawnSync('tar', ['-cC', join(here, 'many'), ...words]).stdout;
      expect(system.tepui(['cp', '-', target], archive.toString('latin1'))).toMatchObject({ status: 0, stderr: '' });
    }
    for (const place of ['/tmp', 'tree', 'unpacked'])
      expect(tepui('exec', 'box', '--', 'cat', `${place}/one`, `${place}/sub/two`).stdout).toBe('one\nsub/two\n');
  });

  test('nothing of what a command writes is lost when its reader is slow', () => {
    const piped = `"$@" | { sleep 1; wc -c; }`;
    const words = cliCommand(['exec', 'box', '--', 'head', '-c', '5000000', '/dev/zero']);
    const { stdout } = spawnSync('sh', ['-c', piped, 'sh', ...words], {
      encoding: 'utf8',
      env: { ...process.env, KUBECONFIG: system.kubeconfig },
    });
    expect(stdout.trim()).toBe('5000000');
  });

  test('a reader that goes ends a command without a word, as it does every other program', () => {
    for (const words of [
      ['exec', 'box', '--', 'yes'],
      ['sandbox', 'cat', 'box', 'tree/numbers'],
    ]) {
      const piped = `{ "$@"; echo "ended with $?" >&2; } | head -1`;
      const { stderr } = spawnSync('sh', ['-c', piped, 'sh', ...cliCommand(words)], {
        encoding: 'utf8',
        env: { ...process.env, KUBECONFIG: system.kubeconfig },
      });
      expect(stderr).toBe('ended with 141\n');
    }
  });

  test('sandbox lists, prints and downloads, and shows no control characters', () => {
    const { stdout } = tepui('sandbox', 'ls', 'box', 'tree');
    expect(stdout).toMatch(/^-rw-r----- +65534:65534 +108894 .* numbers$/m);
    expect(stdout).toMatch(/steal -> \/etc\/shadow$/m);
    expect(stdout).toContain('odd?[31mname');
    expect(tepui('sandbox', 'cat', 'box', 'tree/sub/deep').stdout).toBe('deep\n');
    expect(tepui('sandbox', 'cat', '--tail', '6', 'box', 'tree/numbers').stdout).toBe('20000\n');
    expect(tepui('sandbox', 'cat', 'box', 'tree/steal')).toMatchObject({
      stderr: expect.stringContaining('symbolic link'),
      status: 1,
    });
    expect(tepui('sandbox', 'get', 'box', 'tree', join(here, 'got')).status).toBe(0);
    expect(readFileSync(join(here, 'got/sub/deep'), 'utf8')).toBe('deep\n');
    expect(tepui('sandbox', 'get', 'box', 'tree/numbers', join(here, 'single')).status).toBe(0);
    expect(statSync(join(here, 'single')).size).toBe(108_894);
    expect(JSON.parse(tepui('sandbox', 'ls', '-o', 'json', 'box').stdout).entries.length).toBeGreaterThan(3);
  });

  /** A port of this machine that leads to one of the task. */
  async function forward(port: string): Promise<{ child: ChildProcess; local: string }> {
    const [command, ...args] = cliCommand(['port-forward', 'box', `:${port}`]);
    const child = spawn(command!, args, { env: { ...process.env, KUBECONFIG: system.kubeconfig } });
    children.push(child);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const local = await eventually('the port', () => /^Forwarding from 127\.0\.0\.1:(\d+) -> /m.exec(text)?.[1]);
    return { child, local };
  }

  test('port-forward reaches the loopback of a network that nothing else reaches', async () => {
    const port = tepui('sandbox', 'cat', 'box', 'port').stdout;
    const { child, local } = await forward(port);
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${local}${path}`)).text();
    expect(await get('/')).toBe('hello');
    const all = await Promise.all(Array.from({ length: 20 }, () => get('/large')));
    expect(all.map(({ length }) => length)).toEqual(Array.from({ length: 20 }, () => 300_000));
    // Without a length only a reset tells that an answer is not whole. (Node's fetch takes it for the end.)
    const broken = connect(Number(local), '127.0.0.1').on('error', () => {});
    let half = '';
    broken.on('data', (chunk: Buffer) => {
      half += chunk.toString();
    });
    broken.write('GET /broken HTTP/1.0\r\n\r\n');
    await new Promise((resolve) => broken.once('close', resolve));
    expect([half, broken.errored]).toEqual([
      expect.stringContaining('half'),
      expect.objectContaining({ code: 'ECONNRESET' }),
    ]);
    // One that is broken off does no harm to the next.
    const rude = connect(Number(local), '127.0.0.1');
    await new Promise((resolve) => rude.once('connect', resolve));
    rude.destroy();
    expect(await get('/')).toBe('hello');
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
    expect(tepui('port-forward', 'box', 'x').status).toBe(2);
  }, 60_000);

  test('a forwarded connection whose client goes in the middle ends at once', async () => {
    const port = tepui('sandbox', 'cat', 'box', 'port').stdout;
    const { child, local } = await forward(port);
    const dials = async () => (await processesWith(`\0${port}\x00127.0.0.1\0`)).length;
    const client = connect(Number(local), '127.0.0.1').on('error', () => {});
    client.write('GET /endless HTTP/1.0\r\n\r\n');
    await eventually('the connection', async () => (await dials()) === 1 || undefined);
    // It takes nothing, until all between is full.
    client.pause();
    await delay(1000);
    client.resetAndDestroy();
    await eventually('its end', async () => (await dials()) === 0 || undefined, 5000);
    child.kill();
  }, 60_000);

  test('all of it works over HTTPS with the token of the user, where the socket of the agent is not', async () => {
    // As on another machine: in a mount namespace where the directory of the socket is empty.
    const { socketPath, url } = (await system.client.list(Agent)).items[0]!.status!.endpoint!;
    expect(url).toMatch(/^https:/);
    const hide = 'mount -t tmpfs none "$0" && exec "$@"';
    const run = (args: string[], input?: string) =>
      spawnSync('unshare', ['-m', 'sh', '-c', hide, dirname(socketPath!), ...cliCommand(args)], {
        encoding: 'utf8',
        env: { ...process.env, KUBECONFIG: system.kubeconfig },
        ...(input !== undefined && { input }),
      });
    expect(run(['exec', '-i', 'box', '--', 'cat'], 'over the wire')).toMatchObject({
      stdout: 'over the wire',
      status: 0,
    });
    expect(run(['logs', 'box']).stdout).toBe('ready\n');
    expect(run(['cp', 'box:tree/sub/deep', join(here, 'wire')]).status).toBe(0);
    expect(run(['cp', join(here, 'wire'), 'box:wire']).status).toBe(0);
    expect(run(['sandbox', 'cat', 'box', 'wire']).stdout).toBe('deep\n');
    expect(run(['stats', '--no-stream']).stdout).toContain('box');
  }, 60_000);
});
