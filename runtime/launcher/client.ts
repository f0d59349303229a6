/**
 * The agent's end of the resident launcher: starts it when none listens, sends requests, hands out events, and connects again when the
 * connection breaks. Containers do not notice any of that.
 *
 * Guarantees: every container that was launched through this client, or named with `track`, gets exactly one `exit` event, also when it
 * ended while the launcher was being restarted. A launch that is interrupted by the launcher's death resolves if the container lives.
 */
import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { buildLauncher } from './build.ts';
import { openConnection } from './connection.ts';
import { encodeLaunch, FrameType, FrameWriter } from './encode.ts';
import { LauncherUnavailable, LaunchFailed } from './errors.ts';
import { parseExitRecord } from './exit-record.ts';
import { type FrameReader, splitFrames } from './frames.ts';
import type { ExitRecord, LaunchRequest } from './operations.ts';

export { LauncherUnavailable, LaunchFailed } from './errors.ts';

export interface LauncherOptions {
  /** Per-boot directory (tmpfs) of this node's launcher: made 0700 when missing. Holds launcher.sock and the containers' state files. */
  runtimeDir: string;
  /** Default: built from the sources when needed. */
  binary?: string;
  /** Makes the cgroups that a new launcher moves to (`openConnection`). Default: it stays in the caller's. */
  groups?: () => string[];
}

export interface ListedContainer {
  containerId: string;
  /** 0 while launching. */
  pid: number;
  startTimeTicks: number;
  supervisorPid: number;
  state: 'launching' | 'running' | 'exited' | 'lost';
}

interface LauncherEvents {
  /** A container has ended, and its exit record is durable. */
  exit: [ExitRecord];
  /** The supervisor is gone too: its mounts and descriptors no longer exist. Follows `exit`. */
  gone: [containerId: string];
  /** The connection broke (and is being made anew). */
  disconnected: [];
  reconnected: [];
  /** The launcher cannot be started again; it is tried again every second. */
  unavailable: [Error];
}

/** Connects to the resident launcher of `runtimeDir`, starting it when none listens. */
export async function connectLauncher({ runtimeDir, binary, groups }: LauncherOptions): Promise<Launcher> {
  const launcher = new Launcher(runtimeDir, binary ?? (await buildLauncher()), groups);
  await launcher.connected();
  return launcher;
}

type Answer = {
  resolve: (frame: FrameReader) => void;
  reject: (error: Error) => void;
  operations?: LaunchRequest['operations'];
};

export class Launcher extends EventEmitter<LauncherEvents> {
  readonly runtimeDir: string;
  readonly binary: string;
  readonly #groups: (() => string[]) | undefined;
  #ready: Promise<Socket>;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  #nextId = 1;
  readonly #answers = new Map<number, Answer>();
  /** Containers whose end has not been told yet, with their exit records. */
  readonly #tracked = new Map<string, string>();

  /** Use `connectLauncher`. */
  constructor(runtimeDir: string, binary: string, groups?: () => string[]) {
    super();
    this.runtimeDir = runtimeDir;
    this.binary = binary;
    this.#groups = groups;
    this.#ready = this.#open();
  }

  async connected(): Promise<void> {
    await this.#ready;
  }

  /** Resolves with the command running; rejects with LaunchFailed and nothing left behind. */
  async launch(request: LaunchRequest): Promise<{ pid: number; startTimeTicks: number }> {
    const { containerId, exitRecord } = request;
    this.#tracked.set(containerId, exitRecord);
    try {
      const answer = await this.#request((id) => encodeLaunch(request, id), request.operations);
      return { pid: answer.u32(), startTimeTicks: answer.u64() };
    } catch (error) {
      if (error instanceof LauncherUnavailable) {
        // A supervisor that could not tell its launcher that it started ends its container itself: what is not listed does not live.
        const found = await this.list().then(
          (all) => all.find((entry) => entry.containerId === containerId),
          () => undefined,
        );
        if (found?.state === 'running') return { pid: found.pid, startTimeTicks: found.startTimeTicks };
      }
      this.#tracked.delete(containerId);
      if (!(error instanceof LauncherUnavailable)) throw error;
      throw new LaunchFailed({
        step: 'connection',
        errno: 0,
        message: `the launcher went away during the launch: ${error.message}`,
      });
    }
  }

  /**
   * Signals every process of the container; resolves with how many there were: 0 when it is not running (any more). Should the launcher
   * die meanwhile, the signal may be sent twice.
   */
  async signal(containerId: string, signal: number): Promise<number> {
    return (
      await this.#repeat((id) => new FrameWriter(FrameType.signal, id).text(containerId).u32(signal).finish())
    ).u32();
  }

  /** The containers whose supervisors live. */
  async list(): Promise<ListedContainer[]> {
    const answer = await this.#repeat((id) => new FrameWriter(FrameType.list, id).finish());
    const states = ['launching', 'running', 'exited', 'lost'] as const;
    return Array.from({ length: answer.u32() }, () => ({
      containerId: answer.text(),
      pid: answer.u32(),
      startTimeTicks: answer.u64(),
      supervisorPid: answer.u32(),
      state: states[answer.u32()] ?? 'lost',
    }));
  }

  /** Of an earlier agent process: makes sure that its end is told also when the launcher is restarted meanwhile. */
  track(containerId: string, exitRecord: string): void {
    this.#tracked.set(containerId, exitRecord);
  }

  async ping(): Promise<{ protocol: number; build: string }> {
    const answer = await this.#repeat((id) => new FrameWriter(FrameType.ping, id).finish());
    return { protocol: answer.u32(), build: answer.text() };
  }

  /** Ends the resident launcher when it has no container; it also ends by itself some seconds after the last client and container. */
  async shutdownIfIdle(): Promise<boolean> {
    return (await this.#request((id) => new FrameWriter(FrameType.shutdown, id).finish())).u32() === 1;
  }

  /** Ends the connection. Containers and the resident launcher go on. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#ready.then(
      (socket) => socket.destroy(),
      () => {},
    );
  }

  /** What may be done twice is asked again when the launcher died before it answered. */
  async #repeat(encode: (id: number) => Buffer): Promise<FrameReader> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#request(encode);
      } catch (error) {
        if (!(error instanceof LauncherUnavailable) || this.#closed || attempt === 3) throw error;
      }
    }
  }

  async #request(encode: (id: number) => Buffer, operations?: LaunchRequest['operations']): Promise<FrameReader> {
    if (this.#closed) throw new LauncherUnavailable('the connection to the launcher is closed');
    const id = this.#nextId++;
    const frame = encode(id);
    const socket = await this.#ready;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject, ...(operations && { operations }) });
      socket.write(frame);
    });
  }

  async #open(): Promise<Socket> {
    const socket = await openConnection(this.runtimeDir, this.binary, this.#groups);
    socket.on(
      'data',
      splitFrames((frame) => this.#receive(frame)),
    );
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.#lostConnection());
    if (this.#closed) socket.destroy();
    return socket;
  }

  #receive(frame: FrameReader): void {
    if (frame.type === FrameType.exit) {
      frame.text(); // the container's id, which the record has too
      this.#ended(JSON.parse(frame.text()) as ExitRecord);
    } else if (frame.type === FrameType.gone) {
      this.emit('gone', frame.text());
    } else {
      const answer = this.#answers.get(frame.requestId);
      this.#answers.delete(frame.requestId);
      if (frame.type === FrameType.ok) answer?.resolve(frame);
      else answer?.reject(launchFailure(frame, answer.operations));
    }
  }

  #ended(record: ExitRecord): void {
    this.#tracked.delete(record.containerId);
    this.emit('exit', record);
  }

  #lostConnection(): void {
    const interrupted = [...this.#answers.values()];
    this.#answers.clear();
    if (!this.#closed) {
      this.emit('disconnected');
      this.#reconnect();
    }
    for (const answer of interrupted) answer.reject(new LauncherUnavailable('the launcher closed the connection'));
  }

  #reconnect(): void {
    this.#ready = this.#open();
    this.#ready.then(
      () =>
        this.#catchUp().then(
          () => this.emit('reconnected'),
          () => {},
        ), // lost again: the next connection catches up
      (error: Error) => {
        this.emit('unavailable', error);
        if (!this.#closed) this.#retry = setTimeout(() => this.#reconnect(), 1000);
      },
    );
  }

  /** Tells the ends that nobody told because there was no connection. */
  async #catchUp(): Promise<void> {
    const before = [...this.#tracked];
    const living = new Set((await this.list()).map((entry) => entry.containerId));
    for (const [containerId, path] of before) {
      if (living.has(containerId) || !this.#tracked.has(containerId)) continue;
      const record = parseExitRecord(await readFile(path, 'utf8').catch(() => ''));
      if (!this.#tracked.has(containerId)) continue;
      this.#ended(record ?? { containerId, finishedAtMs: Date.now(), lost: true });
    }
  }
}

function launchFailure(frame: FrameReader, operations: LaunchRequest['operations'] | undefined): LaunchFailed {
  const [opIndex, errno, step, message] = [frame.i32(), frame.u32(), frame.text(), frame.text()];
  const op = operations?.[opIndex]?.op;
  return new LaunchFailed({ ...(opIndex >= 0 && { opIndex }), ...(op && { op }), step, errno, message });
}
