import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ObjectMeta } from '../../../controllers/machinery/client/client.ts';
import { isConflict } from '../../../controllers/machinery/client/errors.ts';
import { ConfigMap, Framework, Task } from '../../../controllers/machinery/client/resources.ts';
import {
  findCondition,
  isConditionTrue,
  removeCondition,
  setCondition,
} from '../../../controllers/machinery/conditions.ts';
import { addFinalizer, removeFinalizer, withFinalizer } from '../../../controllers/machinery/finalizers.ts';
import { keyOf, keyText, parseKey } from '../../../controllers/machinery/key.ts';
import { done, requeueAfter } from '../../../controllers/machinery/outcome.ts';
import { controllerOf, controllerReference, isControlledBy } from '../../../controllers/machinery/owners.ts';
import { mergePatchBetween, patchStatus } from '../../../controllers/machinery/status.ts';
import { startTestServer, type TestServer } from './test-server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  await server.stop();
});

describe('conditions', () => {
  const ready = { type: 'Ready', status: 'True', reason: 'Up', message: 'it is up' } as const;

  test('the time moves when the status flips, and only then', () => {
    const first = setCondition(undefined, ready, 't1');
    expect(first).toEqual([{ ...ready, lastTransitionTime: 't1' }]);
    const reworded = setCondition(first, { ...ready, message: 'still up' }, 't2');
    expect(reworded[0]).toMatchObject({ message: 'still up', lastTransitionTime: 't1' });
    expect(setCondition(reworded, { ...ready, status: 'False', reason: 'Down' }, 't3')[0]).toMatchObject({
      lastTransitionTime: 't3',
    });
  });

  test('nothing new is the very same list', () => {
    const list = setCondition(undefined, ready, 't1');
    expect(setCondition(list, ready, 't2')).toBe(list);
    expect(removeCondition(list, 'Other')).toBe(list);
  });

  test('others keep their place', () => {
    const list = setCondition(setCondition(undefined, { ...ready, type: 'A' }, 't'), { ...ready, type: 'B' }, 't');
    expect(setCondition(list, { ...ready, type: 'A', status: 'False' }, 't').map(({ type }) => type)).toEqual([
      'A',
      'B',
    ]);
    expect(removeCondition(list, 'A').map(({ type }) => type)).toEqual(['B']);
    expect(isConditionTrue(list, 'A')).toBe(true);
    expect(findCondition(list, 'C')).toBeUndefined();
  });
});

describe('status', () => {
  /** RFC 7386. */
  const apply = (target: unknown, patch: unknown): unknown => {
    if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
    const result: Record<string, unknown> =
      typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
    for (const [name, value] of Object.entries(patch)) {
      if (value === null) delete result[name];
      else result[name] = apply(result[name], value);
    }
    return result;
  };

  test('a patch between two documents leads from one to the other, and is absent between equal ones', () => {
    const names = fc.constantFrom('a', 'b', 'c');
    const { document } = fc.letrec<{ document: Record<string, unknown>; value: unknown }>((tie) => ({
      document: fc.dictionary(names, tie('value'), { maxKeys: 3 }) as fc.Arbitrary<Record<string, unknown>>,
      value: fc.oneof(
        { depthSize: 'small' },
        fc.integer(),
        fc.string(),
        fc.boolean(),
        fc.array(fc.integer(), { maxLength: 2 }),
        tie('document'),
      ),
    }));
    fc.assert(
      fc.property(document, document, (from, to) => {
        const patch = mergePatchBetween(from, to);
        expect(patch === undefined ? from : apply(from, patch)).toEqual(to);
        expect(mergePatchBetween(to, structuredClone(to))).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  test('is written once, only where it differs, and removed fields go', async () => {
    const { client } = server;
    const task = await client.create(Task, {
      metadata: { namespace: 'default', name: 'status' },
      spec: { containers: [{ name: 'main', command: ['true'] }] },
    });
    const running = await patchStatus(client, Task, task, { state: 'Running', reason: 'Up', exitCode: 3 });
    expect(running?.status).toMatchObject({ state: 'Running', reason: 'Up' });
    expect(await patchStatus(client, Task, running!, { state: 'Running', reason: 'Up', exitCode: 3 })).toBeUndefined();
    const next = await patchStatus(client, Task, running!, { state: 'Finished', exitCode: 3 });
    expect(next?.status).not.toHaveProperty('reason');
    expect(next?.spec).toEqual(task.spec);
  });

  test('of an old object never lands on a new one of the same name', async () => {
    const { client } = server;
    const document = {
      metadata: { namespace: 'default', name: 'reborn' },
      spec: { containers: [{ name: 'main', command: ['true'] }] },
    };
    const old = await client.create(Task, document);
    await client.delete(Task, document.metadata);
    await client.create(Task, document);
    const error = await patchStatus(client, Task, old, { state: 'Finished' }).catch((caught: unknown) => caught);
    expect(isConflict(error)).toBe(true);
    expect((await client.get(Task, document.metadata))?.status?.state).not.toBe('Finished');
  });

  test('needs the newest version', async () => {
    const { client } = server;
    const task = await client.create(Task, {
      metadata: { namespace: 'default', name: 'newest' },
      spec: { containers: [{ name: 'main', command: ['true'] }] },
    });
    await patchStatus(client, Task, task, { state: 'Running' });
    const error = await patchStatus(client, Task, task, { state: 'Unreachable' }).catch((caught: unknown) => caught);
    expect(isConflict(error)).toBe(true);
  });
});

describe('finalizers', () => {
  const OURS = 'tepui.dev/ours';
  const THEIRS = 'example.org/theirs';
  const make = (name: string, finalizers?: string[]) =>
    server.client.create(ConfigMap, {
      metadata: { namespace: 'default', name, ...(finalizers ? { finalizers } : {}) },
    });
  const read = async (name: string) => (await server.client.get(ConfigMap, { namespace: 'default', name }))?.metadata;

  /** Runs the four arms and says which was taken. */
  async function arms(object: { metadata?: ObjectMeta }, isClean = true) {
    const taken: string[] = [];
    const outcome = await withFinalizer(server.client, ConfigMap, object, OURS, {
      apply: async (given) => {
        taken.push(`apply ${given.metadata?.finalizers?.includes(OURS)}`);
        return done;
      },
      cleanUp: async () => {
        taken.push('cleanUp');
        return isClean ? { isClean } : { isClean, outcome: requeueAfter(1) };
      },
    });
    return { taken, outcome };
  }

  test('absent and alive: protected first, then applied', async () => {
    expect((await arms(await make('f1', [THEIRS]))).taken).toEqual(['apply true']);
    expect((await read('f1'))?.finalizers).toEqual([THEIRS, OURS]);
  });

  test('present and alive: applied', async () => {
    expect((await arms(await make('f2', [OURS]))).taken).toEqual(['apply true']);
  });

  test('present and being deleted: cleaned up, then let go', async () => {
    await make('f3', [OURS]);
    await server.client.delete(ConfigMap, { namespace: 'default', name: 'f3' });
    const object = (await server.client.get(ConfigMap, { namespace: 'default', name: 'f3' }))!;
    expect(await arms(object, false)).toEqual({ taken: ['cleanUp'], outcome: requeueAfter(1) });
    expect(await read('f3')).toBeTruthy();
    expect((await arms(object)).taken).toEqual(['cleanUp']);
    expect(await read('f3')).toBeUndefined();
  });

  test('absent and being deleted: nothing', async () => {
    await make('f4', [THEIRS]);
    await server.client.delete(ConfigMap, { namespace: 'default', name: 'f4' });
    expect((await arms((await server.client.get(ConfigMap, { namespace: 'default', name: 'f4' }))!)).taken).toEqual([]);
  });

  test('removing from an old copy never takes what belongs to others', async () => {
    const old = await make('f5', [THEIRS, OURS]);
    await server.client.mergePatch(
      ConfigMap,
      { namespace: 'default', name: 'f5' },
      { metadata: { finalizers: ['example.org/new', THEIRS, OURS] } },
    );
    await removeFinalizer(server.client, ConfigMap, old, OURS);
    expect((await read('f5'))?.finalizers).toEqual(['example.org/new', THEIRS]);
    await removeFinalizer(server.client, ConfigMap, old, OURS);
    expect((await read('f5'))?.finalizers).toEqual(['example.org/new', THEIRS]);
  });

  test('adding to an old copy never overwrites what others have added', async () => {
    const old = await make('f6');
    await server.client.mergePatch(
      ConfigMap,
      { namespace: 'default', name: 'f6' },
      { metadata: { finalizers: [THEIRS] } },
    );
    await expect(addFinalizer(server.client, ConfigMap, old, OURS)).rejects.toThrow();
    expect((await read('f6'))?.finalizers).toEqual([THEIRS]);
  });

  test('removing from what is gone is fine', async () => {
    const old = await make('f7', [OURS]);
    await server.client.delete(ConfigMap, { namespace: 'default', name: 'f7' });
    await removeFinalizer(server.client, ConfigMap, old, OURS);
    await removeFinalizer(server.client, ConfigMap, old, OURS);
  });
});

test('keys and owners', () => {
  expect(keyText({ name: 'a' })).toBe('a');
  expect(parseKey('n/a')).toEqual({ namespace: 'n', name: 'a' });
  expect(parseKey('a')).toEqual({ name: 'a' });
  expect(keyOf({ metadata: { namespace: 'n', name: 'a' } })).toEqual({ namespace: 'n', name: 'a' });
  const owner = { metadata: { namespace: 'n', name: 'f', uid: 'u' } };
  const owned = { metadata: { ownerReferences: [controllerReference(Framework, owner)] } };
  expect(controllerOf(owned)).toEqual({
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Framework',
    name: 'f',
    uid: 'u',
    controller: true,
    blockOwnerDeletion: true,
  });
  expect(isControlledBy(owned, owner)).toBe(true);
  expect(isControlledBy(owned, { metadata: { uid: 'other' } })).toBe(false);
});
