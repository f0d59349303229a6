/** The planner of exclusive processors, on machines that never were. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatCpuList, parseCpuList } from '../../../runtime/resources/cpu-list.ts';
import { chooseCpus } from '../../../runtime/resources/exclusive-cpus.ts';
import { type Processor, readTopology } from '../../../runtime/resources/topology.ts';

/** As Linux numbers them: first one thread of each core of each node, then the siblings. */
function machine(nodes: number, coresPerNode: number, threads: number): Processor[] {
  const cores = nodes * coresPerNode;
  return Array.from({ length: cores * threads }, (_, id) => ({
    id,
    core: `0:${id % cores}`,
    node: Math.floor((id % cores) / coresPerNode),
  }));
}
const none = { taken: new Set<number>(), pinned: [] };

describe('choosing exclusive processors', () => {
  const large = machine(2, 4, 2);

  test('takes whole cores, with both threads', () => {
    expect(chooseCpus(large, { count: 4 }, none)).toEqual([0, 1, 8, 9]);
  });

  test('stays within a node, and takes the one that fits best', () => {
    const taken = new Set([0, 8]);
    expect(chooseCpus(large, { count: 6 }, { taken, pinned: [] })).toEqual([1, 2, 3, 9, 10, 11]);
    expect(chooseCpus(large, { count: 8 }, { taken, pinned: [] })).toEqual([4, 5, 6, 7, 12, 13, 14, 15]);
  });

  test('takes an odd one from a core that is broken already', () => {
    expect(chooseCpus(large, { count: 3 }, { taken: new Set([0]), pinned: [] })).toEqual([1, 8, 9]);
  });

  test('spans nodes only when none has enough', () => {
    expect(chooseCpus(large, { count: 10 }, none)).toHaveLength(10);
  });

  test('takes only from the nodes that are asked for', () => {
    expect(chooseCpus(large, { count: 2, nodes: [1] }, none)).toEqual([4, 12]);
    expect(chooseCpus(large, { count: 9, nodes: [1] }, none)).toBeUndefined();
  });

  test('always leaves one for all who share', () => {
    expect(chooseCpus(machine(1, 2, 1), { count: 1 }, none)).toEqual([0]);
    expect(chooseCpus(machine(1, 2, 1), { count: 2 }, none)).toBeUndefined();
    expect(chooseCpus(machine(1, 2, 1), { count: 1 }, { taken: new Set([0]), pinned: [] })).toBeUndefined();
  });

  test('leaves a pinned container one of its own', () => {
    expect(chooseCpus(machine(1, 3, 1), { count: 1 }, { taken: new Set(), pinned: [[0]] })).toEqual([1]);
    expect(chooseCpus(machine(1, 3, 1), { count: 2 }, { taken: new Set(), pinned: [[0, 1]] })).toEqual([0, 2]);
  });

  const situation = fc
    .record({
      nodes: fc.integer({ min: 1, max: 3 }),
      cores: fc.integer({ min: 1, max: 4 }),
      threads: fc.constantFrom(1, 2),
    })
    .chain(({ nodes, cores, threads }) => {
      const topology = machine(nodes, cores, threads);
      const ids = topology.map(({ id }) => id);
      return fc.record({
        topology: fc.constant(topology),
        count: fc.integer({ min: 1, max: ids.length }),
        taken: fc.subarray(ids, { maxLength: ids.length - 1 }).map((list) => new Set(list)),
        pinned: fc.array(fc.subarray(ids, { minLength: 1 }), { maxLength: 3 }),
      });
    });

  test('never gives what is taken, never too many or too few, and leaves everybody one', () => {
    fc.assert(
      fc.property(situation, ({ topology, count, taken, pinned }) => {
        const chosen = chooseCpus(topology, { count }, { taken, pinned });
        if (!chosen) return;
        expect(new Set(chosen).size).toBe(count);
        expect(chosen.filter((id) => taken.has(id))).toEqual([]);
        for (const list of [topology.map(({ id }) => id), ...pinned]) {
          const before = list.filter((id) => !taken.has(id));
          if (before.length > 0) expect(before.filter((id) => !chosen.includes(id))).not.toEqual([]);
        }
      }),
    );
  });

  test('finds some whenever enough are free and nobody is pinned', () => {
    fc.assert(
      fc.property(situation, ({ topology, count, taken }) => {
        const free = topology.length - taken.size;
        expect(chooseCpus(topology, { count }, { taken, pinned: [] }) !== undefined).toBe(count < free);
      }),
    );
  });

  test('stays in one node whenever one has enough and keeps one elsewhere', () => {
    fc.assert(
      fc.property(situation, ({ topology, count, taken }) => {
        const chosen = chooseCpus(topology, { count }, { taken, pinned: [] });
        const free = topology.filter(({ id }) => !taken.has(id));
        const fits = [...Map.groupBy(free, ({ node }) => node).values()].some((cpus) => cpus.length >= count);
        if (!chosen || !fits || free.length === count) return;
        expect(new Set(chosen.map((id) => topology[id]!.node)).size).toBe(1);
      }),
    );
  });
});

describe('lists of processors', () => {
  test.each([
    ['', []],
    ['0', [0]],
    ['0-3,8', [0, 1, 2, 3, 8]],
    ['8,0-1,1', [0, 1, 8]],
  ])('%j is %j', (text, list) => {
    expect(parseCpuList(text)).toEqual(list);
  });

  test.each(['a', '3-1', '-1', '0-', '0-99999999', '1 2'])('%j is none', (text) => {
    expect(() => parseCpuList(text)).toThrow('is no list of processors');
  });

  test('are written as the kernel does', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(200)), (list) => {
        expect(parseCpuList(formatCpuList(list))).toEqual(list.toSorted((a, b) => a - b));
      }),
    );
    expect(formatCpuList([0, 1, 2, 5, 7, 8])).toBe('0-2,5,7-8');
  });
});

test('this machine has processors, each of a core and a node', () => {
  const processors = readTopology();
  expect(processors.length).toBeGreaterThan(0);
  for (const { id, core, node } of processors)
    expect([typeof id, typeof core, typeof node]).toEqual(['number', 'string', 'number']);
});
