/** The keys that end a session and leave the container running, as Docker writes them: `ctrl-p,ctrl-q`, or plain characters. */
import { CliError, EXIT_CODES } from '../exit-codes.ts';

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/** The bytes of a sequence; none for an empty text: then nothing detaches. Throws CliError. */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  return Buffer.from(text.split(',').map(keyOf));
}

function keyOf(key: string): number {
  const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
  if (key.length === 1 && key.charCodeAt(0) < 0x80) return key.charCodeAt(0);
  throw new CliError(
    `--detach-keys: "${key}" is neither a character nor ctrl- and one of a-z @ [ \\ ] ^ _`,
    EXIT_CODES.usage.code,
  );
}

export interface DetachFilter {
  /** What may be passed on of a chunk of input. A beginning of the sequence is held back until it is clear what it is. */
  pass(chunk: Buffer): { data: Buffer; detached: boolean };
}

export function createDetachFilter(keys: Buffer): DetachFilter {
  let matched = 0;
  return {
    pass(chunk) {
      if (keys.length === 0) return { data: chunk, detached: false };
      const out: number[] = [];
      for (const byte of chunk) {
        // On a mismatch, the longest end of what was held back that is a beginning itself stays held back.
        while (matched > 0 && byte !== keys[matched]) {
          const shorter = restart(keys, matched);
          out.push(...keys.subarray(0, matched - shorter));
          matched = shorter;
        }
        if (byte !== keys[matched]) {
          out.push(byte);
          continue;
        }
        matched += 1;
        if (matched === keys.length) return { data: Buffer.from(out), detached: true };
      }
      return { data: Buffer.from(out), detached: false };
    },
  };
}

/** The length of the longest proper end of the first `length` keys that is also a beginning of them. */
function restart(keys: Buffer, length: number): number {
  for (let shorter = length - 1; shorter > 0; shorter -= 1) {
    if (keys.subarray(length - shorter, length).equals(keys.subarray(0, shorter))) return shorter;
  }
  return 0;
}
