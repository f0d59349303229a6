/** A log in the sandbox that the agent itself writes, rotated as the launcher's supervisors do: `stdout`, `stdout.1` (the youngest), `stdout.2` ... */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import type { LogSink } from '../../launcher/operations.ts';

export interface LogFile {
  /** Returns when it is written. What cannot be written (a full disk) is dropped: a container is never held up by its log. */
  write(data: Uint8Array): void;
  close(): void;
}

const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Throws when the place is taken by something that is no file. */
export function openLogFile(sink: LogSink): LogFile {
  let fd = openSink(sink);
  let size = fstatSync(fd).size;
  const rotate = (): void => {
    if (sink.maxFiles === 0) {
      ftruncateSync(fd);
    } else {
      rmSync(`${sink.path}.${sink.maxFiles}`, { force: true });
      for (let number = sink.maxFiles - 1; number >= 0; number--) {
        const from = number === 0 ? sink.path : `${sink.path}.${number}`;
        try {
          renameSync(from, `${sink.path}.${number + 1}`);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        }
      }
      closeSync(fd);
      fd = openSink(sink);
    }
    size = 0;
  };
  return {
    write(data) {
      try {
        if (sink.maxBytes > 0 && size > 0 && size + data.length > sink.maxBytes) rotate();
        for (let at = 0; at < data.length; ) at += writeSync(fd, data, at);
        size += data.length;
      } catch (error) {
        if (!['ENOSPC', 'EDQUOT', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      }
    },
    close: () => closeSync(fd),
  };
}

function openSink({ path, uid, gid }: LogSink): number {
  const fd = openSync(path, flags, 0o644);
  const found = fstatSync(fd);
  if (!found.isFile() || found.nlink > 1) {
    closeSync(fd);
    throw new Error(`${path} is no file of its own`);
  }
  fchownSync(fd, uid, gid);
  return fd;
}
