import { PassThrough, Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import type { KubernetesObject } from '../../../apiserver/resources/definition.ts';
import { Entry, encode } from '../../../apiserver/store/entry.ts';
import { WatchHub } from '../../../apiserver/watch/hub.ts';
import type { EncodedEvents } from '../../../apiserver/watch/representation.ts';
import { WatchStream } from '../../../apiserver/watch/stream.ts';

/** A client that reads nothing until it is let. */
function stuck(): { out: Writable; chunks: string[]; release: () => void } {
  const chunks: string[] = [];
  let held: (() => void) | undefined;
  let free = false;
  const out = new Writable({
    highWaterMark: 10,
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk.toString());
      if (free) done();
      else held = done;
    },
  });
  return {
    out,
    chunks,
    release: () => {
      free = true;
      held?.();
    },
  };
}

describe('a stream to a watcher', () => {
  test('sends the initial events before the live ones, however slowly they are read', async () => {
    const { out, chunks, release } = stuck();
    const initial = ['a', 'b', 'c'].map((text) => Buffer.from(text.repeat(100_000)));
    const stream = new WatchStream(out, { initial });
    stream.send(Buffer.from('LIVE'));
    release();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const text = chunks.join('');
    expect(text.length).toBe(300_004);
    expect(text.endsWith('cLIVE')).toBe(true);
  });

  test('is cut off when too much waits for a client that does not read', () => {
    const { out } = stuck();
    out.on('error', () => {});
    const stream = new WatchStream(out, { maxPendingBytes: 1000 });
    const event = Buffer.alloc(100);
    let accepted = 0;
    while (stream.send(event)) accepted += 1;
    expect(accepted).toBeGreaterThanOrEqual(10);
    expect(accepted).toBeLessThan(20);
    expect(out.destroyed).toBe(true);
  });

  test('ends after what is pending', async () => {
    const out = new PassThrough();
    const stream = new WatchStream(out, { initial: [Buffer.from('first ')] });
    stream.end(Buffer.from('last'));
    const chunks: Buffer[] = [];
    for await (const chunk of out) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('first last');
  });
});

const entry = (storage: string, name: string, revision: number) => {
  const object: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'Thing',
    metadata: { name, resourceVersion: String(revision) },
  };
  return new Entry(
    { storage, namespace: '', name },
    { revision, deleted: false, timeMs: 0, encoded: encode(JSON.stringify(object)), object },
  );
};

describe('the hub', () => {
  test('gives each watcher the entries of its storage key only', () => {
    const hub = new WatchHub();
    const seen: string[] = [];
    const stop = hub.subscribe('a', (entries) => seen.push(...entries.map(({ name }) => name)));
    hub.publish([entry('a', 'one', 1), entry('b', 'two', 2), entry('a', 'three', 3)]);
    stop();
    hub.publish([entry('a', 'four', 4)]);
    expect(seen).toEqual(['one', 'three']);
    expect(hub.size).toBe(0);
  });

  test('has one encoding of an event for all watchers of one form', () => {
    const hub = new WatchHub();
    const seen: Buffer[] = [];
    let conversions = 0;
    const converted = {
      key: 'converted',
      convert: () => {
        conversions += 1;
        return { other: 'form' };
      },
    };
    const watch = (form: Parameters<EncodedEvents['get']>[1]) =>
      hub.subscribe('a', (entries, encoded) => {
        for (const one of entries) seen.push(encoded.get({ type: 'ADDED', entry: one, left: false }, form));
      });
    for (let i = 0; i < 10; i++) watch({ key: 'plain' });
    for (let i = 0; i < 10; i++) watch(converted);
    hub.publish([entry('a', 'one', 1)]);
    expect(new Set(seen).size).toBe(2);
    expect(conversions).toBe(1);
  });
});
