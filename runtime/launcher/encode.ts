/**
 * The wire format (PROTOCOL.md): frames of a 32-bit length and little-endian fields. Texts carry a NUL behind them, so that the launcher
 * can use them in place. The fields of each operation must match the table in src/decode.c.
 */
import type { DeviceRule, ExecLaunchRequest, LaunchRequest, LogSink, MountFlag, Operation } from './operations.ts';

export const PROTOCOL_VERSION = 2;
/** The launcher refuses longer frames, and closes the connection. */
export const MAX_FRAME_BYTES = 4 << 20;

// biome-ignore format: a table
export const FrameType = {
  ping: 1, launch: 2, signal: 3, list: 4, shutdown: 5, exec: 6, ok: 64, failed: 65, exit: 80, gone: 81,
} as const;

// biome-ignore format: a table
const opCode: Record<Operation['op'], number> = {
  joinCgroup: 1, mount: 2, setMountAttributes: 3, mkdir: 4, createFile: 5, symlink: 6, mknod: 7, mask: 8, readOnly: 9, enterRoot: 10,
  pivotRoot: 11, hostname: 12, loopbackUp: 13, rlimit: 14, oomScoreAdj: 15, umask: 16, user: 17, capabilities: 18, noNewPrivileges: 19,
  seccomp: 20, workingDirectory: 21, terminal: 22, deviceRules: 23, appArmorProfile: 24, overlay: 25, joinNamespace: 26,
  userNamespace: 27,
};

// biome-ignore format: a table
const mountFlag: Record<MountFlag, number> = {
  ro: 1, nosuid: 2, nodev: 4, noexec: 8, noatime: 16, bind: 32, rbind: 32 | 512, remount: 64,
  private: 128, rprivate: 128 | 512, slave: 256, rslave: 256 | 512, rec: 512,
  shared: 1024, idmap: 2048, peer: 4096,
};
const overlayInMemory = 8192;
const namespaceKind = { pid: 2, ipc: 4, uts: 8, net: 32 } as const;

const NOBODY_CHANGED = 0xffff_ffff;

/** Puts a frame together; the length is filled in by `finish`. */
export class FrameWriter {
  #buffer = Buffer.allocUnsafe(4096);
  #length = 4;

  constructor(type: number, requestId: number) {
    this.u32(type).u32(requestId);
  }

  u8(value: number): this {
    this.#room(1);
    this.#length = this.#buffer.writeUInt8(value, this.#length);
    return this;
  }

  u32(value: number): this {
    this.#room(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
    return this;
  }

  u64(value: bigint | number): this {
    this.#room(8);
    this.#length = this.#buffer.writeBigUInt64LE(BigInt(value), this.#length);
    return this;
  }

  text(value: string): this {
    if (value.includes('\0'))
      throw new RangeError(`A text for the launcher has a NUL in it: ${JSON.stringify(value.slice(0, 80))}`);
    const bytes = Buffer.byteLength(value);
    this.u32(bytes).#room(bytes + 1);
    this.#length += this.#buffer.write(value, this.#length);
    return this.u8(0);
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length).#room(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  list(values: string[]): this {
    this.u32(values.length);
    for (const value of values) this.text(value);
    return this;
  }

  finish(): Buffer {
    if (this.#length - 4 > MAX_FRAME_BYTES)
      throw new RangeError(`A launch request of ${this.#length} bytes is too long (at most ${MAX_FRAME_BYTES})`);
    this.#buffer.writeUInt32LE(this.#length - 4, 0);
    return this.#buffer.subarray(0, this.#length);
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(bigger, 0, 0, this.#length);
    this.#buffer = bigger;
  }
}

export function encodeLaunch(request: LaunchRequest, requestId: number): Buffer {
  const { mount, pid, ipc, uts, cgroup, network } = request.namespaces;
  const { init = false, tty = false, stdin = false, userNamespace, share, pause = false } = request;
  const flags = bits([mount, pid, ipc, uts, cgroup, network, init, tty, stdin, userNamespace !== undefined, pause]);
  const frame = new FrameWriter(FrameType.launch, requestId)
    .text(request.containerId)
    .u32(flags)
    .text(request.cloneIntoCgroup ?? '');
  frame.text(request.exitRecord);
  encodeSink(frame, request.stdout);
  encodeSink(frame, request.stderr);
  frame.u32(share?.pid ?? 0).u64(share?.startTimeTicks ?? 0);
  for (const range of [userNamespace?.uids, userNamespace?.gids]) frame.u32(range?.hostId ?? 0).u32(range?.size ?? 0);
  return encodeCommand(frame, request);
}

export function encodeExec(request: ExecLaunchRequest): Buffer {
  const frame = new FrameWriter(FrameType.exec, 0)
    .text(request.containerId)
    .u32((request.tty ? 128 : 0) | (request.userNamespace ? 512 : 0) | (request.files ? 2048 : 0))
    .text(request.cloneIntoCgroup ?? '');
  frame
    .u32(request.pid)
    .u64(request.startTimeTicks)
    .u32(request.tty?.columns ?? 0)
    .u32(request.tty?.rows ?? 0);
  return encodeCommand(frame, request);
}

function encodeCommand(frame: FrameWriter, request: Pick<LaunchRequest, 'argv' | 'env' | 'operations'>): Buffer {
  frame.list(request.argv).list(Object.entries(request.env).map(([name, value]) => `${name}=${value}`));
  frame.u32(request.operations.length);
  for (const operation of request.operations) encodeOperation(frame, operation);
  return frame.finish();
}

function encodeSink(frame: FrameWriter, sink: LogSink): void {
  frame.text(sink.path).u64(sink.maxBytes).u32(sink.maxFiles).u32(sink.uid).u32(sink.gid);
}

function encodeOperation(frame: FrameWriter, operation: Operation): void {
  frame.u8(opCode[operation.op]);
  switch (operation.op) {
    case 'joinCgroup':
    case 'mask':
    case 'readOnly':
    case 'enterRoot':
    case 'workingDirectory':
      frame.text(operation.path);
      break;
    case 'mount':
      frame
        .text(operation.source)
        .text(operation.sourceBelow ?? '')
        .text(operation.target);
      frame
        .text(operation.fstype ?? '')
        .text(operation.data ?? '')
        .u32(flagBits(operation.flags));
      break;
    case 'setMountAttributes':
      frame
        .text(operation.target)
        .u32(flagBits([...operation.set, ...(operation.recursive ? (['rec'] as const) : [])]));
      break;
    case 'mkdir':
      frame.text(operation.path).u32(operation.mode);
      frame.u32(operation.uid ?? NOBODY_CHANGED).u32(operation.gid ?? NOBODY_CHANGED);
      break;
    case 'createFile':
      frame
        .text(operation.path)
        .u32(operation.mode)
        .u32(operation.content === undefined ? 0 : 1);
      frame.bytes(Buffer.from(operation.content ?? ''));
      break;
    case 'symlink':
      frame.text(operation.target).text(operation.path);
      break;
    case 'mknod':
      frame.text(operation.path).u32(operation.type === 'c' ? 0 : 1);
      frame.u32(operation.major).u32(operation.minor).u32(operation.mode);
      frame.u32(operation.uid ?? NOBODY_CHANGED).u32(operation.gid ?? NOBODY_CHANGED);
      break;
    case 'overlay': {
      const { target, changes, flags, root, layers } = operation;
      frame.text(target).text(typeof changes === 'object' ? changes.upper : '');
      frame.u32(flagBits(flags) | (changes === 'memory' ? overlayInMemory : 0));
      frame.u32(root.mode).u32(root.uid).u32(root.gid);
      frame.bytes(Buffer.from(layers.map((layer) => `${layer}\0`).join('')));
      break;
    }
    case 'joinNamespace':
      frame.text(operation.path ?? '').u32(operation.kinds.reduce((sum, kind) => sum | namespaceKind[kind], 0));
      break;
    case 'userNamespace':
      frame.u32(operation.owner);
      break;
    case 'hostname':
      frame.text(operation.name);
      break;
    case 'rlimit':
      frame.u32(operation.resource).u64(operation.soft).u64(operation.hard);
      break;
    case 'oomScoreAdj':
      frame.u32(operation.value + 1000);
      break;
    case 'umask':
      frame.u32(operation.mask);
      break;
    case 'user':
      frame
        .u32(operation.uid)
        .u32(operation.gid)
        .bytes(new Uint8Array(Uint32Array.from(operation.groups).buffer));
      break;
    case 'capabilities':
      for (const name of ['bounding', 'effective', 'permitted', 'inheritable', 'ambient'] as const)
        frame.u64(mask(operation[name]));
      break;
    case 'seccomp':
      frame
        .u32((operation.flags ?? []).reduce((sum, flag) => sum | (flag === 'log' ? 2 : 4), 0))
        .bytes(operation.program);
      break;
    case 'deviceRules':
      frame.text(operation.cgroup).bytes(encodeDeviceRules(operation.rules));
      break;
    case 'appArmorProfile':
      frame.text(operation.profile);
      break;
    case 'terminal':
      frame.u32(operation.ofHost ? 1 : 0);
      break;
    case 'pivotRoot':
    case 'loopbackUp':
    case 'noNewPrivileges':
      break;
  }
}

const ANY_DEVICE = 0xffff_ffff;
const accessBit: Record<string, number> = { m: 1, r: 2, w: 4 };

/** `struct device_rule` of launcher.h, one after another. */
export function encodeDeviceRules(rules: readonly DeviceRule[]): Uint8Array {
  const numbers = rules.flatMap(({ type, major = ANY_DEVICE, minor = ANY_DEVICE, access }) => [
    type === 'a' ? 0 : type === 'b' ? 1 : 2,
    major,
    minor,
    [...access].reduce((sum, letter) => sum | (accessBit[letter] ?? 0), 0),
  ]);
  return new Uint8Array(Uint32Array.from(numbers).buffer);
}

function flagBits(flags: readonly MountFlag[]): number {
  return flags.reduce((sum, flag) => sum | mountFlag[flag], 0);
}

function bits(values: boolean[]): number {
  return values.reduce((sum, value, bit) => sum | (value ? 1 << bit : 0), 0);
}

function mask(numbers: number[]): bigint {
  return numbers.reduce((sum, number) => sum | (1n << BigInt(number)), 0n);
}
