/** CDI specifications, the registry of directories, and what counts as a whole GPU. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Task } from '../../../crds/types.generated.ts';
import { type CdiDevice, openCdiRegistry } from '../../../runtime/devices/cdi/registry.ts';
import { CdiInvalid, parseCdiSpecification } from '../../../runtime/devices/cdi/specification.ts';
import { assignGpus, wholeGpus } from '../../../runtime/devices/gpus.ts';
import { openDevices } from '../../../runtime/devices/index.ts';

const specification = (change: object = {}) => ({
  cdiVersion: '0.6.0',
  kind: 'acme.com/gpu',
  devices: [{ name: '0', containerEdits: { deviceNodes: [{ path: '/dev/acme0' }] } }],
  ...change,
});
const withEdits = (containerEdits: object) => specification({ containerEdits });

describe('a CDI specification', () => {
  test('is read from JSON and from YAML, with everything a container needs', () => {
    const yaml = `
cdiVersion: "0.8.0"
kind: acme.com/gpu
annotations: { any: thing }
devices:
  - name: "0"
    annotations: { any: thing }
    containerEdits:
      env: [ACME=0]
      deviceNodes: [{ path: /dev/acme0, hostPath: /dev/zero, type: c, major: 1, minor: 5, fileMode: 0o660, permissions: r, uid: 1, gid: 2 }]
containerEdits:
  mounts: [{ hostPath: /usr/lib/acme, containerPath: /usr/lib/acme, options: [ro, nosuid, rbind] }]
  additionalGids: [44]
`;
    const read = parseCdiSpecification(yaml);
    expect(read.devices[0]!.edits).toMatchObject({
      env: ['ACME=0'],
      deviceNodes: [{ permissions: 'r', fileMode: 0o660 }],
    });
    expect(read.edits).toMatchObject({
      mounts: [{ options: ['ro', 'nosuid', 'rbind'] }],
      additionalGids: [44],
      refused: [],
    });
    expect(parseCdiSpecification(JSON.stringify(specification())).kind).toBe('acme.com/gpu');
  });

  test('says by name what it needs and we do not do', () => {
    const edits = { hooks: [{ hookName: 'createContainer', path: '/bin/x' }], intelRdt: { closID: 'x' } };
    expect(parseCdiSpecification(JSON.stringify(withEdits(edits))).edits.refused).toEqual([
      'hooks.createContainer',
      'intelRdt',
    ]);
  });

  test.each<[string, string, object | string]>([
    ['text that is neither', 'is neither JSON nor YAML', '{a: ['],
    ['a list', 'the document: is not an object', '[]'],
    ['an old version', 'cdiVersion: 0.2.0 is not one of 0.3.0 to 0.8.0', specification({ cdiVersion: '0.2.0' })],
    ['a kind without a class', 'kind: "acme" is not vendor/class', specification({ kind: 'acme' })],
    ['a field nobody knows', 'containerEdits.netDevices: is not known', withEdits({ netDevices: [] })],
    ['a path that leads up', '".." in it', withEdits({ deviceNodes: [{ path: '/dev/../etc' }] })],
    [
      'a relative path',
      'containerEdits.mounts[0].hostPath: "x" is not absolute',
      withEdits({ mounts: [{ hostPath: 'x', containerPath: '/x' }] }),
    ],
    [
      'another file system',
      'containerEdits.mounts[0].type: "tmpfs" is not bind',
      withEdits({ mounts: [{ hostPath: '/x', containerPath: '/x', type: 'tmpfs' }] }),
    ],
    ['an entry that is no assignment', 'containerEdits.env[0]: is not NAME=value', withEdits({ env: ['X'] })],
    [
      'other permissions',
      '"rx" has other letters',
      withEdits({ deviceNodes: [{ path: '/dev/x', permissions: 'rx' }] }),
    ],
    ['one name twice', 'devices: "0" is there twice', specification({ devices: [{ name: '0' }, { name: '0' }] })],
  ])('is refused with the place: %s', (_what, message, document) => {
    const text = typeof document === 'string' ? document : JSON.stringify(document);
    expect(() => parseCdiSpecification(text)).toThrow(message);
  });

  test('is read or refused, whatever it holds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          parseCdiSpecification(text);
        } catch (error) {
          expect(error).toBeInstanceOf(CdiInvalid);
        }
      }),
    );
  });
});

describe('the registry', () => {
  let top: string;
  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), 'tepui-cdi-'));
    for (const name of ['etc', 'run']) mkdirSync(join(top, name));
  });
  afterEach(() => rmSync(top, { recursive: true }));
  const write = (path: string, document: object | string) =>
    writeFileSync(join(top, path), typeof document === 'string' ? document : JSON.stringify(document));
  const read = openCdiRegistry();
  const look = () => read([join(top, 'etc'), join(top, 'run'), join(top, 'missing')]);

  test('takes the device of the later directory', () => {
    write('etc/a.json', specification());
    write('run/b.yaml', specification({ devices: [{ name: '0', containerEdits: { env: ['FROM=run'] } }] }));
    expect(look().devices.get('acme.com/gpu=0')!.edits.env).toEqual(['FROM=run']);
  });

  test('leaves out a device that two files of one directory claim, and files that are wrong, and says so', () => {
    write('etc/a.json', specification());
    write('etc/b.json', specification());
    write('etc/c.json', '{');
    write('etc/d.txt', 'not looked at');
    const { devices, problems } = look();
    expect(devices.size).toBe(0);
    expect(problems).toEqual([
      expect.stringContaining('etc/c.json: is neither JSON nor YAML'),
      expect.stringMatching(/^acme\.com\/gpu=0: is in .*a\.json and .*b\.json$/),
    ]);
  });

  test('sees changed files without being opened again', () => {
    write('etc/a.json', specification());
    expect(look().devices.size).toBe(1);
    write('etc/a.json', specification({ devices: [], annotations: { longer: 'than before' } }));
    expect(look().devices.size).toBe(0);
  });
});

const device = (name: string, nodes: string[], kind = 'acme.com/gpu'): CdiDevice => {
  const none = { env: [], deviceNodes: [], mounts: [], additionalGids: [], refused: [] };
  return {
    name: `${kind}=${name}`,
    kind,
    edits: { ...none, deviceNodes: nodes.map((path) => ({ path })) },
    common: none,
    file: 'f',
  };
};

describe('whole GPUs', () => {
  test('count once, whatever they are called, and not all together', () => {
    const devices = [
      device('0', ['/dev/g0', '/dev/dri/r0']),
      device('1', ['/dev/g1']),
      device('GPU-uuid-0', ['/dev/dri/r0', '/dev/g0']),
      device('everything', ['/dev/g0', '/dev/g1', '/dev/dri/r0']),
      device('all', ['/dev/g0', '/dev/g1', '/dev/g2']),
      device('0', ['/dev/other'], 'acme.com/nic'),
    ];
    expect(wholeGpus(devices, ['acme.com/gpu'])).toEqual(['acme.com/gpu=0', 'acme.com/gpu=1']);
  });

  test('may be parts of one card that each have a node of their own', () => {
    const parts = [device('0:0', ['/dev/g0', '/dev/cap1']), device('0:1', ['/dev/g0', '/dev/cap2'])];
    expect(wholeGpus(parts, ['acme.com/gpu'])).toHaveLength(2);
  });

  const task = (containers: [string, number][], init: [string, number][] = []) => {
    const list = (entries: [string, number][]) =>
      entries.map(([name, gpus]) => ({ name, resources: { requests: { gpus } } }));
    return { spec: { containers: list(containers), initContainers: list(init) } } as unknown as Task;
  };

  test('are given to containers one by one; init containers use the same', () => {
    expect(
      assignGpus(
        task(
          [
            ['a', 1],
            ['b', 0],
            ['c', 2],
          ],
          [['i', 2]],
        ),
        ['g0', 'g1', 'g2', 'g3'],
      ),
    ).toEqual({
      a: ['g0'],
      c: ['g1', 'g2'],
      i: ['g0', 'g1'],
    });
    expect(assignGpus(task([['a', 2]]), ['g0'])).toBeUndefined();
    expect(assignGpus(task([['a', 0]]), [])).toEqual({});
  });

  test('are never given to two containers that run beside each other', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }), fc.nat(8), (counts, there) => {
        const free = Array.from({ length: there }, (_, index) => `g${index}`);
        const assigned = assignGpus(task(counts.map((count, index) => [`c${index}`, count])), free);
        const all = Object.values(assigned ?? {}).flat();
        expect(new Set(all).size).toBe(all.length);
        expect(assigned !== undefined).toBe(counts.reduce((sum, count) => sum + count, 0) <= there);
      }),
    );
  });
});

describe('the policy for devices', () => {
  const devices = (isolation: object) => openDevices({ policy: () => isolation, inUse: () => [], onFreed() {} });
  const problems = (isolation: object, container: object) =>
    devices(isolation).problems({ spec: { containers: [{ name: 'c', ...container }] } } as unknown as Task);

  test.each<[string, object, object, string]>([
    [
      'a device that is not allowed',
      {},
      { devices: [{ path: '/dev/zero' }] },
      'devices[0].path: this agent does not allow /dev/zero',
    ],
    [
      'a file',
      { allowedDevices: ['/etc/passwd'] },
      { devices: [{ path: '/etc/passwd', containerPath: '/dev/x' }] },
      '/etc/passwd leads to /etc/passwd, which is not below /dev',
    ],
    [
      'a link out of /dev',
      { allowedDevices: ['/dev/fd'] },
      { devices: [{ path: '/dev/fd' }] },
      'which is not below /dev',
    ],
    [
      'a directory',
      { allowedDevices: ['/dev/pts'] },
      { devices: [{ path: '/dev/pts' }] },
      '/dev/pts is neither a character nor a block device',
    ],
    [
      'nothing',
      { allowedDevices: ['/dev/nothing'] },
      { devices: [{ path: '/dev/nothing' }] },
      '/dev/nothing is not there (ENOENT)',
    ],
    [
      'another place than /dev',
      { allowedDevices: ['/dev/zero'] },
      { devices: [{ path: '/dev/zero', containerPath: '/etc/x' }] },
      'devices[0].containerPath: /etc/x is not below /dev',
    ],
    [
      'a CDI device that is not allowed',
      {},
      { devices: [{ cdi: 'acme.com/nic=0' }] },
      'devices[0].cdi: this agent does not allow acme.com/nic=0',
    ],
    [
      'a GPU by its name',
      { allowedCdiDevices: ['nvidia.com/gpu'] },
      { devices: [{ cdi: 'nvidia.com/gpu=0' }] },
      'ask for resources.requests.gpus',
    ],
    [
      'a CDI device that nobody specifies',
      { allowedCdiDevices: ['acme.com/nic'], cdiDirectories: [] },
      { devices: [{ cdi: 'acme.com/nic=0' }] },
      'no CDI specification of this agent has acme.com/nic=0',
    ],
    [
      'half a GPU',
      {},
      { resources: { requests: { gpus: '500m' } } },
      'resources.requests.gpus: 500m is not a whole number',
    ],
  ])('refuses %s', (_what, isolation, container, message) => {
    expect(problems(isolation, container)).toEqual([expect.stringContaining(message)]);
  });

  test('allows what is named, with the permissions of the document', () => {
    const container = { name: 'c', devices: [{ path: '/dev/zero', containerPath: '/dev/nought', permissions: 'r' }] };
    expect(devices({ allowedDevices: ['/dev/zero'] }).resolve(container)).toEqual({
      devices: [{ path: '/dev/nought', type: 'c', major: 1, minor: 5, permissions: 'r' }],
      mounts: [],
      env: {},
      supplementalGids: [],
    });
  });
});
