import { describe, expect, test } from '@jest/globals';
import type { Task } from '../../../crds/types.generated.ts';
import { problemsWithoutRoot, refusals, refusedWithoutRoot } from '../../../runtime/rootless/refusals.ts';

const task = (container: object, spec: object = {}): Task =>
  ({ metadata: { name: 't' }, spec: { containers: [{ name: 'c', ...container }], ...spec } }) as unknown as Task;

describe('an agent without root', () => {
  test.each([
    ['security.privileged', { security: { privileged: true } }],
    ['security.userNamespace', { security: { userNamespace: 'Private' } }],
    ['security.capabilities', { security: { capabilities: { effective: ['CHOWN', 'SYS_ADMIN'] } } }],
    ['security.capabilities', { security: { capabilities: { bounding: ['NET_BIND_SERVICE'] } } }],
    ['security.appArmorProfile', { security: { appArmorProfile: { type: 'RuntimeDefault' } } }],
    ['namespaces.pid', { namespaces: { pid: 'Host' } }],
    ['devices', { devices: [{ path: '/dev/kvm' }] }],
    ['resources.requests.gpus', { resources: { requests: { gpus: 1 } } }],
    ['resources.diskEnforcement', { resources: { diskEnforcement: 'File' } }],
    ['ports', { ports: [{ name: 'http', hostPort: 1 }] }],
  ])('refuses %s by its path, with the reason', (field, container) => {
    const reason = refusals.find((row) => row.field === `spec.containers[].${field}`)!.reason;
    const problems = problemsWithoutRoot(task(container));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(`spec.containers[0].${field}: `);
    expect(problems[0]).toMatch(reason);
  });

  test('refuses networks of the machine, and says so of the task', () => {
    expect(problemsWithoutRoot(task({}, { network: { mode: 'Cni' } }))).toEqual([
      expect.stringContaining('spec.network.mode: Cni needs an agent with root'),
    ]);
  });

  test('speaks of init containers as well', () => {
    const init = { initContainers: [{ name: 'i', security: { privileged: true } }] };
    expect(problemsWithoutRoot(task({}, init))[0]).toMatch('spec.initContainers[0].security.privileged: ');
  });

  test('refuses nothing of what works', () => {
    const container = {
      image: 'oci:/layout:x',
      security: {
        capabilities: { effective: ['CHOWN', 'NET_BIND_SERVICE'] },
        userNamespace: 'Auto',
        noNewPrivileges: false,
      },
      resources: { requests: { cpus: '500m', mem: '64Mi' }, limits: { cpus: 1 }, diskEnforcement: 'Auto' },
      ports: [
        { name: 'http', hostPort: 0 },
        { name: 'other', hostPort: 31000 },
      ],
      rlimits: [{ type: 'RLMT_NOFILE', soft: 16, hard: 16 }],
      namespaces: { ipc: 'Private' },
    };
    expect(problemsWithoutRoot(task(container, { network: { mode: 'None' }, user: 'root' }))).toEqual([]);
  });

  test('declares each field that it refuses, once', () => {
    const declared = refusedWithoutRoot();
    expect(declared).toContain('spec.containers[].devices');
    // With many ids any user can be had.
    expect(declared).not.toContain('spec.user');
    expect(new Set(declared).size).toBe(declared.length);
  });
});
