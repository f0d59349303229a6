import { describe, expect, test } from '@jest/globals';
import type { ApiObject } from '../../../../controllers/machinery/client/client.ts';
import { type Change, ObjectStore } from '../../../../controllers/machinery/store/object-store.ts';

interface Thing extends ApiObject {
  colour?: string;
}

const thing = (name: string, resourceVersion: string, colour = 'red'): Thing => ({
  metadata: { namespace: 'n', name, resourceVersion, uid: name },
  colour,
});
const names = (changes: Change<Thing>[]) =>
  changes.map(({ key, old, new: next }) => `${old ? (next ? '~' : '-') : '+'}${key.name}`);

/** A store that holds these. */
function filled(...things: Thing[]) {
  const store = new ObjectStore<Thing>();
  list(store, ...things);
  return store;
}

function list(store: ObjectStore<Thing>, ...things: Thing[]): Change<Thing>[] {
  store.handle({ kind: 'init' });
  for (const object of things) store.handle({ kind: 'initApply', object });
  return store.handle({ kind: 'initDone' });
}

describe('a store', () => {
  test('shows nothing of a list before it is complete', () => {
    const store = filled(thing('old', '1'));
    store.handle({ kind: 'init' });
    store.handle({ kind: 'initApply', object: thing('new', '2') });
    expect(store.list().map(({ metadata }) => metadata?.name)).toEqual(['old']);
    store.handle({ kind: 'initDone' });
    expect(store.list().map(({ metadata }) => metadata?.name)).toEqual(['new']);
  });

  test('a new list tells only what differs', () => {
    const store = filled(thing('same', '1'), thing('changed', '2'), thing('gone', '3'));
    expect(names(list(store, thing('same', '1'), thing('changed', '5'), thing('new', '6')))).toEqual([
      '-gone',
      '~changed',
      '+new',
    ]);
  });

  test('a list that is broken off leaves no trace', () => {
    const store = filled(thing('a', '1'));
    store.handle({ kind: 'init' });
    store.handle({ kind: 'initApply', object: thing('half', '2') });
    expect(names(list(store, thing('a', '1')))).toEqual([]);
    expect(store.size).toBe(1);
  });

  test('an object of the same name with another uid is a change even at the same version', () => {
    const store = filled(thing('a', '1'));
    const replaced = { ...thing('a', '1'), metadata: { ...thing('a', '1').metadata, uid: 'other' } };
    expect(names(store.handle({ kind: 'apply', object: replaced }))).toEqual(['~a']);
  });

  test('a deletion hands on the last state', () => {
    const store = filled(thing('a', '1', 'red'));
    const [change] = store.handle({ kind: 'delete', object: thing('a', '2', 'blue') });
    expect(change).toMatchObject({ key: { namespace: 'n', name: 'a' }, old: { colour: 'blue' } });
    expect(change).not.toHaveProperty('new');
  });

  test('a deletion of what is not known is no change', () => {
    expect(filled().handle({ kind: 'delete', object: thing('a', '1') })).toEqual([]);
  });

  test('indexes follow every change', () => {
    const store = filled(thing('a', '1', 'red'), thing('b', '2', 'red'));
    store.addIndex('colour', (object) => [object.colour ?? '']);
    const of = (colour: string) => store.byIndex('colour', colour).map(({ metadata }) => metadata?.name);
    expect(of('red')).toEqual(['a', 'b']);
    store.handle({ kind: 'apply', object: thing('a', '3', 'blue') });
    expect([of('red'), of('blue')]).toEqual([['b'], ['a']]);
    store.handle({ kind: 'delete', object: thing('b', '4') });
    expect(of('red')).toEqual([]);
    list(store, thing('c', '5', 'red'));
    expect([of('red'), of('blue')]).toEqual([['c'], []]);
  });

  test('an unknown index and a second one of the same name are errors', () => {
    const store = filled();
    expect(() => store.byIndex('colour', 'red')).toThrow('no index "colour"');
    const values = () => [];
    store.addIndex('colour', values);
    store.addIndex('colour', values);
    expect(() => store.addIndex('colour', () => [])).toThrow('another index');
  });

  test('objects are frozen in tests, and come without managedFields', () => {
    const object = { ...thing('a', '1'), metadata: { ...thing('a', '1').metadata, managedFields: [{}] } } as Thing;
    const store = filled(object);
    const stored = store.get('n/a')!;
    expect(stored.metadata).not.toHaveProperty('managedFields');
    expect(() => {
      stored.metadata!.labels = {};
    }).toThrow(TypeError);
  });
});
