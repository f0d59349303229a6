/**
 * Brings a container's output from the engine, which keeps it, into the sandbox, where every log is read. The place up to which it was copied is
 * kept beside the launch record: another agent process goes on from there (and may repeat the last piece if this one was killed).
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { LogSink } from '../../launcher/operations.ts';
import type { Engine } from './engine.ts';
import { readFrames } from './frames.ts';
import { openLogFile } from './log-file.ts';

export interface LogCopy {
  /** Resolves when all output of an ended container is copied. */
  done: Promise<void>;
  /** Ends the copying; the place is kept. */
  stop(): void;
}

export interface LogCopyOptions {
  engine: Engine;
  /** The engine's id or name. */
  container: string;
  sinks: { stdout: LogSink; stderr: LogSink };
  /** File with the place up to which everything was copied. */
  positionFile: string;
  onError(error: Error): void;
}

const retryMs = 1000;

export function copyLogs({ engine, container, sinks, positionFile, onError }: LogCopyOptions): LogCopy {
  const stop = new AbortController();
  const files = { stdout: openLogFile(sinks.stdout), stderr: openLogFile(sinks.stderr) };
  const place = openPosition(positionFile);
  let { position } = place;

  const follow = async (): Promise<void> => {
    // `since` has whole seconds in some versions: lines up to the position are left out here.
    const since = position ? `&since=${Math.floor(Date.parse(position.time) / 1000)}` : '';
    const path = `/containers/${container}/logs?follow=1&stdout=1&stderr=1&timestamps=1${since}`;
    const response = await engine.stream('GET', path, { timeoutMs: 0, signal: stop.signal });
    const start = position;
    let toSkip = start?.count ?? 0;
    for await (const { stream, data } of readFrames(response)) {
      const space = data.indexOf(0x20);
      const time = data.toString('latin1', 0, space);
      if (start && (time < start.time || (time === start.time && toSkip-- > 0))) continue;
      files[stream].write(data.subarray(space + 1));
      position = { time, count: position?.time === time ? position.count + 1 : 1 };
      place.keep(position);
    }
  };
  const run = async (): Promise<void> => {
    try {
      for (;;) {
        try {
          return await follow();
        } catch (error) {
          if (stop.signal.aborted) return;
          if ((error as { status?: number }).status === 404) return;
          onError(error as Error);
          await delay(retryMs, undefined, { signal: stop.signal }).catch(() => {});
        }
      }
    } finally {
      files.stdout.close();
      files.stderr.close();
      place.close();
    }
  };
  return { done: run(), stop: () => stop.abort() };
}

interface Position {
  /** Of the last piece, as the engine writes it: nanoseconds, comparable as text. */
  time: string;
  /** Pieces of that very time that were copied. */
  count: number;
}

/** More than one takes, so that the next is written over all of the one before. */
const positionBytes = 128;

/** Each position is one write in place: an agent that is killed leaves the one before it or the new one. */
function openPosition(path: string): { position: Position | undefined; keep(position: Position): void; close(): void } {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  return {
    position: parsePosition(readFileSync(fd, 'utf8')),
    keep: (position) => void writeSync(fd, JSON.stringify(position).padEnd(positionBytes), 0),
    close: () => closeSync(fd),
  };
}

/** What a machine without power has torn counts for none: everything is copied again. */
function parsePosition(text: string): Position | undefined {
  try {
    return JSON.parse(text) as Position;
  } catch {
    return undefined;
  }
}
