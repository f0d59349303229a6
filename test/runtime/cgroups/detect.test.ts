import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { detectCgroups } from '../../../runtime/cgroups/detect.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tepui-cgroups-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const v1 = (name: string, controllers = name, fsRoot = '/') => {
  mkdirSync(join(root, name), { recursive: true });
  return `33 31 0:30 ${fsRoot} ${root}/${name} rw,relatime shared:1 - cgroup cgroup rw,${controllers}`;
};
const v2 = (name: string, controllers: string) => {
  mkdirSync(join(root, name), { recursive: true });
  writeFileSync(join(root, name, 'cgroup.controllers'), `${controllers}\n`);
  return `41 31 0:38 / ${root}/${name} rw,relatime - cgroup2 cgroup2 rw`;
};

describe('detectCgroups', () => {
  test('knows a v2 host', () => {
    const host = detectCgroups(v2('unified', 'cpuset cpu io memory pids'));
    expect(host.version).toBe('v2');
    expect(host.unified).toBe(`${root}/unified`);
    expect(host.controllers.get('memory')).toBe(`${root}/unified`);
  });

  test('knows a v1 host, also with controllers mounted together', () => {
    const host = detectCgroups([v1('cpu,cpuacct'), v1('memory'), v1('pids'), v1('systemd', 'name=systemd')].join('\n'));
    expect(host.version).toBe('v1');
    expect(host.controllers.get('cpu')).toBe(host.controllers.get('cpuacct'));
    expect(host.unified).toBeUndefined();
  });

  test('knows a hybrid host: v1 controllers and a v2 mount without those we need', () => {
    const host = detectCgroups([v1('cpu'), v1('memory'), v1('pids'), v2('unified', 'hugetlb')].join('\n'));
    expect(host.version).toBe('hybrid');
    expect(host.unified).toBe(`${root}/unified`);
    expect(host.controllers.get('memory')).toBe(`${root}/memory`);
  });

  test('does not take a bind of a subgroup for a hierarchy', () => {
    expect(() => detectCgroups([v1('cpu'), v1('pids'), v1('memory', 'memory', '/docker/abc')].join('\n'))).toThrow(
      'not available: memory',
    );
  });

  test('reads mount points with spaces', () => {
    mkdirSync(join(root, 'with space'));
    const line = v2('x', 'cpu memory pids').replaceAll(`${root}/x`, `${root}/with\\040space`);
    writeFileSync(join(root, 'with space', 'cgroup.controllers'), 'cpu memory pids');
    expect(detectCgroups(line).unified).toBe(`${root}/with space`);
  });

  test('says what to do on a host without controllers, or with controllers in both versions', () => {
    expect(() => detectCgroups('')).toThrow(
      'cgroup controllers not available: cpu, memory, pids. Mount cgroup2 at /sys/fs/cgroup',
    );
    expect(() => detectCgroups([v1('cpu'), v1('pids'), v2('unified', 'memory')].join('\n'))).toThrow(
      'split between v1 and v2 (in v2: memory)',
    );
  });
});
