/** What isolators contribute: pure data, no root needed. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { capabilityNames, defaultCapabilities, resolveCapabilities } from '../../../runtime/isolators/capabilities.ts';
import { formatBytes } from '../../../runtime/isolators/cgroups/memory.ts';
import { sandboxIsolator } from '../../../runtime/isolators/filesystem/sandbox.ts';
import { mountTargets } from '../../../runtime/isolators/filesystem/volumes.ts';
import { hostnameIsolator } from '../../../runtime/isolators/hostname.ts';
import type { ContainerSpec, IsolatorHost } from '../../../runtime/isolators/isolator.ts';
import { oomScore } from '../../../runtime/isolators/oom-score.ts';
import type { Operation } from '../../../runtime/launcher/operations.ts';

const all = new Set(capabilityNames.keys());
const numbers = (...names: string[]) => names.map((name) => capabilityNames.indexOf(name));
const container = (capabilities?: object) =>
  ({ container: { name: 'c', security: { capabilities } }, user: { uid: 0 } }) as unknown as ContainerSpec;
const ordinary = (capabilities?: object) => ({ ...container(capabilities), user: { uid: 1000 } }) as ContainerSpec;

describe('capabilities', () => {
  test('are the small default set for root and none for others', () => {
    expect(resolveCapabilities(container(), {}, all)).toEqual({
      effective: numbers(...defaultCapabilities),
      bounding: numbers(...defaultCapabilities),
    });
    expect(resolveCapabilities(ordinary(), {}, all)).toEqual({
      effective: [],
      bounding: numbers(...defaultCapabilities),
    });
  });

  test('an empty list drops all', () => {
    expect(resolveCapabilities(container({ effective: [] }), {}, all)).toEqual({ effective: [], bounding: [] });
  });

  test('the bounding set is the effective set unless it is given', () => {
    expect(resolveCapabilities(ordinary({ effective: ['CHOWN'] }), {}, all)).toEqual({
      effective: numbers('CHOWN'),
      bounding: numbers('CHOWN'),
    });
    expect(resolveCapabilities(container({ bounding: ['CHOWN', 'KILL'] }), {}, all).effective).toEqual(
      numbers('CHOWN', 'KILL'),
    );
  });

  test.each([
    [{ effective: ['NOPE'] }, {}, 'NOPE is no capability'],
    [{ effective: ['SYS_ADMIN'] }, { boundingCapabilities: ['CHOWN'] }, 'SYS_ADMIN is more than this agent allows'],
    [{ effective: ['SYS_ADMIN'] }, {}, 'SYS_ADMIN is more than this agent allows'],
    [{ effective: ['KILL'], bounding: ['CHOWN'] }, {}, 'KILL is not in the bounding set'],
    [
      { bounding: ['SYS_RESOURCE'] },
      { boundingCapabilities: ['SYS_RESOURCE'] },
      'this agent does not have SYS_RESOURCE itself',
    ],
  ])('%j is refused', (asked, policy, message) => {
    const available = new Set([...all].filter((number) => number !== numbers('SYS_RESOURCE')[0]));
    expect(() => resolveCapabilities(container(asked), policy, available)).toThrow(message);
  });

  test('never exceed what the agent allows, whatever its default is', () => {
    const set = fc.uniqueArray(fc.constantFrom(...capabilityNames));
    fc.assert(
      fc.property(set, set, fc.boolean(), (defaults, bounds, isRoot) => {
        const { effective, bounding } = resolveCapabilities(
          isRoot ? container() : ordinary(),
          { defaultCapabilities: defaults, boundingCapabilities: bounds },
          all,
        );
        const allowed = new Set(numbers(...bounds));
        return (
          effective.every((number) => bounding.includes(number)) && bounding.every((number) => allowed.has(number))
        );
      }),
    );
  });
});

test('oom_score_adj follows the share of memory that was not asked for', () => {
  const score = (memBytes: number, limit?: number) =>
    oomScore({ resources: { requests: { cpus: 1, memBytes }, limits: { memBytes: limit } } }, 1000);
  expect([score(100), score(100, 100), score(100, 200), score(1000, 2000), score(0, Infinity)]).toEqual([
    0, 0, 900, 0, 1000,
  ]);
});

test('bytes are written in the units of the document', () => {
  expect([0, 1023, 1024, 128 * 2 ** 20, 1.5 * 2 ** 30].map(formatBytes)).toEqual([
    '0',
    '1023',
    '1Ki',
    '128Mi',
    '1.5Gi',
  ]);
});

test('a host name is cut to what the kernel takes', () => {
  const spec = {
    task: { metadata: { name: 'x'.repeat(100) }, spec: { network: { mode: 'None' } } },
  } as unknown as ContainerSpec;
  expect(hostnameIsolator().contribute!(spec).setup).toEqual([{ op: 'hostname', name: 'x'.repeat(64) }]);
});

test('the data directory is masked unless it is hidden anyway, and the mask is read-only', () => {
  const spec = { sandbox: '/data/agent/sandboxes/x' } as ContainerSpec;
  const operations = (dataDirectory: string) =>
    sandboxIsolator({ dataDirectory } as IsolatorHost).contribute!(spec).setup!.map(
      (operation: Operation) => operation.op,
    );
  expect(operations('/data')).toEqual(['mount', 'mkdir', 'mount', 'setMountAttributes']);
  expect(operations('/tmp/data')).toEqual(['mkdir', 'mount']);
});

test('mounts are made from the outside in, relative ones below the sandbox', () => {
  const mount = (target: string) => ({ source: '/', target, readOnly: false });
  const targets = mountTargets({ sandbox: '/sand/box', mounts: [mount('/a/b/c'), mount('x/./y//'), mount('/a')] }).map(
    ({ target }) => target,
  );
  expect(targets).toEqual(['/a', '/a/b/c', '/sand/box/x/y']);
});
