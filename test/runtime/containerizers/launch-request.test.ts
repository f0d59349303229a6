import { describe, expect, test } from '@jest/globals';
import {
  buildLaunchRequest,
  commandOf,
  sessionOperations,
} from '../../../runtime/containerizers/native/launch-request.ts';
import type { ContainerSpec, Isolator } from '../../../runtime/isolators/isolator.ts';

const spec = {
  containerId: 'c',
  container: { name: 'main', command: ['a', 'b'], args: ['c'], logs: { maxSize: '1Ki', maxFiles: 0 } },
  sandbox: '/sandbox',
  user: { uid: 1, gid: 2 },
} as unknown as ContainerSpec;

const isolators: Isolator[] = [
  {
    name: 'first',
    contribute: () => ({
      namespaces: { mount: true, pid: true },
      join: [{ op: 'joinCgroup', path: '/1' }],
      privileges: [{ op: 'umask', mask: 1 }],
    }),
  },
  { name: 'silent' },
  {
    name: 'second',
    contribute: () => ({
      lockdown: [{ op: 'noNewPrivileges' }],
      setup: [{ op: 'pivotRoot' }],
      cloneIntoCgroup: '/born',
    }),
  },
  {
    name: 'third',
    contribute: () => ({
      setup: [{ op: 'loopbackUp' }],
      join: [{ op: 'joinCgroup', path: '/2' }],
      privileges: [{ op: 'umask', mask: 3 }],
    }),
  },
];

describe('buildLaunchRequest', () => {
  const request = buildLaunchRequest(spec, { A: 'b' }, isolators, '/exit.json');

  test('puts all stages one after another, each in the order of isolators', () => {
    expect(request.operations.map((operation) => JSON.stringify(operation))).toEqual([
      '{"op":"joinCgroup","path":"/1"}',
      '{"op":"joinCgroup","path":"/2"}',
      '{"op":"pivotRoot"}',
      '{"op":"loopbackUp"}',
      '{"op":"umask","mask":1}',
      '{"op":"umask","mask":3}',
      '{"op":"noNewPrivileges"}',
    ]);
  });

  test('unites namespaces, and puts a tiny init into a pid namespace', () => {
    expect(request.namespaces).toEqual({
      mount: true,
      pid: true,
      ipc: false,
      uts: false,
      cgroup: false,
      network: false,
    });
    expect(request.init).toBe(true);
    expect(request.cloneIntoCgroup).toBe('/born');
    expect(buildLaunchRequest(spec, {}, [], '/e').init).toBe(false);
  });

  test('sends output to the sandbox with the rotation of the document', () => {
    expect(request.stdout).toEqual({ path: '/sandbox/stdout', maxBytes: 1024, maxFiles: 0, uid: 1, gid: 2 });
    expect(request.stderr.path).toBe('/sandbox/stderr');
  });
});

test('a session has limits, identity and filters, but no set-up', () => {
  expect(sessionOperations(spec, isolators).map(({ op }) => op)).toEqual(['umask', 'umask', 'noNewPrivileges']);
});

test('a shell line runs as /bin/sh -c, a command as it is', () => {
  expect(commandOf({ name: 'c', shell: 'echo $1', args: ['x'] })).toEqual(['/bin/sh', '-c', 'echo $1', 'sh', 'x']);
  expect(commandOf({ name: 'c', shell: 'true' })).toEqual(['/bin/sh', '-c', 'true']);
  expect(commandOf({ name: 'c', command: ['a', 'b'], args: ['c'] })).toEqual(['a', 'b', 'c']);
  expect(commandOf({ name: 'c' })).toEqual([]);
});
