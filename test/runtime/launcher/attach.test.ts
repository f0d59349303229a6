/** Terminals and standard input of containers, and attaching to them, with real terminals. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type Attachment, type AttachOptions, attachToSupervisor } from '../../../runtime/launcher/attach.ts';
import type { LaunchRequest, Operation } from '../../../runtime/launcher/operations.ts';
import { type Bed, eventually, isolated, makeBed, processesWith } from './harness.ts';

let bed: Bed;
const attachments: Attachment[] = [];
beforeAll(async () => {
  bed = await makeBed();
});
afterEach(() => {
  for (const attachment of attachments.splice(0)) attachment.detach();
});
afterAll(() => bed.close());

interface Running {
  containerId: string;
  /** Path of its supervisor's. */
  socket: string;
  attach(options?: AttachOptions): Promise<Attachment & { seen(): string }>;
  log(): Promise<string>;
}

async function start(argv: string[], change: Partial<LaunchRequest>): Promise<Running> {
  const request = await bed.request(argv, change);
  const started = await bed.launcher.launch(request);
  return {
    containerId: request.containerId,
    socket: `${bed.dir}/run/attach/${started.pid}.${started.startTimeTicks}`,
    async attach(options) {
      const attachment = await attachToSupervisor(`${bed.dir}/run`, started, options);
      attachments.push(attachment);
      let text = '';
      attachment.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      attachment.stderr.on('data', (chunk: Buffer) => {
        text += `[${chunk.toString().trim()}]`;
      });
      return Object.assign(attachment, { seen: () => text });
    },
    log: () => readFile(request.stdout.path, 'utf8'),
  };
}

function frame(kind: number, data: Buffer | number[]): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(kind + data.length * 256);
  return Buffer.concat([head, Buffer.from(data)]);
}

function* framesOf(received: Buffer): Iterable<{ kind: number; data: Buffer }> {
  for (let at = 0; at < received.length; ) {
    const head = received.readUInt32LE(at);
    const end = at + 4 + Math.floor(head / 256);
    yield { kind: head % 256, data: received.subarray(at + 4, end) };
    at = end;
  }
}

/** The root of a test container with a terminal in it. */
async function withTerminal(argv: string[], change: Partial<LaunchRequest> = {}): Promise<Running> {
  const containerId = `tty-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  const operations: Operation[] = [...isolated(`${bed.dir}/${containerId}/root`), { op: 'terminal' }];
  return start(argv, { containerId, tty: true, init: true, operations, ...change });
}

test('a container with a terminal has one of its own devpts, 80 by 24, as all three streams and as its controlling terminal', async () => {
  const script =
    'tty; stty size; readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2; : >/dev/tty && echo controlling';
  const { containerId, log } = await withTerminal(['sh', '-c', script]);
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
  expect((await log()).split('\r\n')).toEqual([
    '/dev/pts/0',
    '24 80',
    '/dev/pts/0',
    '/dev/pts/0',
    '/dev/pts/0',
    'controlling',
    '',
  ]);
});

test('whoever attaches types into the terminal, sees what comes back and what was there before, and can change its size', async () => {
  const { containerId, attach, log } = await withTerminal(['sh']);
  await eventually(async () => (await log()).includes('# '), 'the prompt');
  const first = await attach({ history: true });
  await eventually(() => first.seen().includes('# '), 'the prompt that was there before');
  first.resize({ columns: 132, rows: 43 });
  first.stdin.write('stty size\n');
  await eventually(() => first.seen().includes('43 132'), 'the size');
  const second = await attach();
  second.stdin.write('echo $((6*7))\n');
  await eventually(() => first.seen().includes('42') && second.seen().includes('42'), 'the answer, at both');
  second.detach();
  first.stdin.write('exit 7\n');
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 7 });
  expect(await first.closed).toBe('ended');
  expect(await second.closed).toBe('detached');
  expect(await log()).toContain('43 132');
});

test('a change of the size tells the foreground process, and ctrl-c interrupts it', async () => {
  const script =
    'trap "stty size" WINCH; trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 0.05; done';
  const { containerId, attach, log } = await withTerminal(['sh', '-c', script]);
  await eventually(async () => (await log()).includes('ready'), 'the start');
  const session = await attach();
  session.resize({ columns: 100, rows: 30 });
  await eventually(() => session.seen().includes('30 100'), 'SIGWINCH');
  session.stdin.write('\x03');
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 3 });
  await session.closed;
  expect(session.seen()).toContain('interrupted');
});

test('the end of the input is a character for a terminal', async () => {
  const { containerId, attach, log } = await withTerminal(['sh', '-c', 'echo ready; cat; echo over']);
  await eventually(async () => (await log()).includes('ready'), 'the start');
  const session = await attach();
  session.closeStdin();
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
  expect(await log()).toContain('over');
});

test('a terminal survives that for a moment none of its processes has it open', async () => {
  const script = 'echo one; exec 3>&1 </dev/null >/dev/null 2>&1; exec 3>&-; sleep 0.1; echo two >/dev/pts/0';
  const { containerId, log } = await withTerminal(['sh', '-c', script]);
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
  expect(await log()).toBe('one\r\ntwo\r\n');
});

test('an open standard input takes what those who attach write, and ends only when one of them says so', async () => {
  const { containerId, attach } = await start(
    ['sh', '-c', 'while read line; do echo "got $line"; done; echo err >&2'],
    {
      stdin: true,
    },
  );
  const first = await attach();
  first.stdin.write('a\n');
  await eventually(() => first.seen().includes('got a'), 'the first line');
  first.detach();
  const second = await attach();
  second.stdin.write('b\n');
  await eventually(() => second.seen().includes('got b'), 'the second line');
  second.closeStdin();
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
  expect(await second.closed).toBe('ended');
  expect(second.seen()).toBe('got b\n[err]');
});

test('a container without terminal and open input cannot be attached to', async () => {
  const { containerId, attach } = await start(['sleep', '60'], { init: true });
  await expect(attach()).rejects.toMatchObject({ code: 'ENOENT' });
  await bed.launcher.signal(containerId, 9);
  await bed.exit(containerId);
});

test('attaching goes on while the launcher and its client are exchanged, and the socket is for its owner only', async () => {
  const { containerId, attach } = await start(['sh', '-c', 'while read line; do echo "got $line"; done'], {
    stdin: true,
  });
  const session = await attach();
  const [server] = await processesWith(`serve\0${bed.dir}/run`);
  process.kill(server!, 'SIGKILL');
  await bed.reconnect();
  session.stdin.write('still\n');
  await eventually(() => session.seen().includes('got still'), 'the answer');
  const names = await readdir(`${bed.dir}/run/attach`);
  expect(names).toHaveLength(1);
  expect((await stat(`${bed.dir}/run/attach/${names[0]}`)).mode & 0o777).toBe(0o600);
  await bed.launcher.signal(containerId, 9);
  await bed.exit(containerId);
  await session.closed;
  await eventually(async () => (await readdir(`${bed.dir}/run/attach`)).length === 0, 'the removal of the socket');
});

test('somebody who does not read is dropped after a second, and the container and everybody else go on', async () => {
  const count = 3_000_000;
  const { containerId, socket, attach, log } = await start(
    ['sh', '-c', `read hello; echo hello; read go; seq ${count}; echo done`],
    {
      stdin: true,
      stdout: { path: `${bed.dir}/many`, maxBytes: 0, maxFiles: 0, uid: 0, gid: 0 },
    },
  );
  const lazy = connect(socket).pause();
  lazy.write(frame(5, [1]));
  let isDropped = false;
  lazy
    .on('error', () => {})
    .on('close', () => {
      isDropped = true;
    });
  const reader = await attach();
  reader.stdin.write('hello\n');
  await eventually(() => reader.seen() === 'hello\n', 'the supervisor to know both');
  reader.stdin.write('go\n');
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
  expect(await reader.closed).toBe('ended');
  expect(reader.seen().length).toBe((await log()).length);
  expect(reader.seen().endsWith('done\n')).toBe(true);
  lazy.resume();
  await eventually(() => isDropped, 'the end of the connection of the one that did not read');
}, 60_000);

test('who reads late, but within the second, gets everything and the end, however much is on its way when the container ends', async () => {
  const sizes = Array.from({ length: 14 }, (_, index) => 60_000 + index * 20_000);
  const texts = sizes.map(async (size) => {
    const { containerId, socket } = await start(
      ['sh', '-c', `read go; head -c ${size} /dev/zero | tr '\\0' x; echo done`],
      {
        stdin: true,
      },
    );
    const late = connect(socket).pause();
    late.write(Buffer.concat([frame(5, [1]), frame(0, Buffer.from('go\n'))]));
    await sleep(400);
    const chunks: Buffer[] = [];
    for await (const chunk of late) chunks.push(chunk as Buffer);
    expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
    return Buffer.concat(chunks);
  });
  for (const [index, received] of (await Promise.all(texts)).entries()) {
    const frames = [...framesOf(received)];
    const text = Buffer.concat(frames.filter(({ kind }) => kind === 1).map(({ data }) => data)).toString();
    expect([sizes[index], text.length, frames.at(-1)?.kind]).toEqual([sizes[index], sizes[index]! + 5, 3]);
    expect(text.endsWith('xdone\n')).toBe(true);
  }
});

test('who gives input only is told the end too', async () => {
  const { containerId, attach } = await start(['sh', '-c', 'read line; echo "got $line"'], { stdin: true });
  const session = await attach({ output: false });
  session.stdin.write('go\n');
  expect(await session.closed).toBe('ended');
  expect([session.seen(), (await bed.exit(containerId)).exitCode]).toEqual(['', 0]);
});

test('more clients than there is room for are turned away', async () => {
  const { containerId, attach } = await start(['sh', '-c', 'read line; echo "got $line"'], { stdin: true });
  const all = await Promise.all(Array.from({ length: 8 }, () => attach()));
  const ninth = await attach();
  expect(await ninth.closed).toBe('dropped');
  all[0]!.stdin.write('x\n');
  await bed.exit(containerId);
  for (const session of all) expect(await session.closed).toBe('ended');
});

test('nonsense on the socket ends that connection only', async () => {
  const { containerId, attach } = await start(['sh', '-c', 'read line; echo "got $line"'], { stdin: true });
  const [name] = await readdir(`${bed.dir}/run/attach`);
  const bad = connect(`${bed.dir}/run/attach/${name}`);
  bad.on('error', () => {});
  const closed = new Promise((resolve) => bad.once('close', resolve));
  bad.write(Buffer.alloc(64, 0x77));
  bad.resume();
  await closed;
  const good = await attach();
  good.stdin.write('x\n');
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
});

test('an input that the container does not read holds up only those who write to it', async () => {
  const { containerId, attach } = await start(
    ['sh', '-c', 'echo begin; for i in 1 2 3; do sleep 0.1; echo tick; done; echo end'],
    {
      stdin: true,
    },
  );
  const writer = await attach();
  writer.stdin.write(Buffer.alloc(1 << 20, 0x78));
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
  await writer.closed;
  expect(writer.seen()).toContain('end');
});

test('one of the host is for a program that makes the container’s own: before any change of root', async () => {
  const operations: Operation[] = [
    { op: 'mount', source: 'none', target: '/', flags: ['rprivate'] },
    { op: 'terminal', ofHost: true },
  ];
  const { containerId, log } = await start(['sh', '-c', 'test -t 0 && stty size'], { tty: true, operations });
  expect(await bed.exit(containerId)).toMatchObject({ exitCode: 0 });
  expect(await log()).toBe('24 80\r\n');
});

test.each([
  ['is not asked for', { tty: false }, [], 'no terminal was asked for'],
  ['is asked for and not made', { tty: true }, undefined, 'never made'],
] as const)('a terminal that %s is refused', async (_what, change, extra, message) => {
  const containerId = `bad-${process.pid}-${message.length}`;
  const operations: Operation[] = [...isolated(`${bed.dir}/${containerId}/root`)];
  if (extra) operations.push({ op: 'terminal' });
  const request = await bed.request(['true'], { containerId, operations, ...change });
  await expect(bed.launcher.launch(request)).rejects.toThrow(message);
});
