/** Documents for the tests of the scheduler, as the API server would hold them. */
import type { Agent, Task, Volume } from '../../../crds/types.generated.ts';

export function agentDocument(
  name: string,
  changes: { [K in keyof Agent]?: Partial<NonNullable<Agent[K]>> } = {},
): Agent {
  return {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Agent',
    metadata: { name, uid: `uid-of-${name}`, labels: { 'kubernetes.io/hostname': name }, ...changes.metadata },
    spec: { ...changes.spec },
    status: {
      allocatable: { cpus: 4, mem: '8Gi', disk: '100Gi', ports: '31000-31009' },
      conditions: [condition('Ready', 'True'), condition('Reachable', 'True')],
      ...changes.status,
    },
  } as Agent;
}

export function taskDocument(
  name: string,
  spec: Partial<Task['spec']> & { requests?: Record<string, string | number>; ports?: object[] } = {},
  changes: { metadata?: Task['metadata']; status?: Task['status'] } = {},
): Task {
  const { requests, ports, ...rest } = spec;
  return {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Task',
    metadata: {
      namespace: 'default',
      name,
      uid: `uid-of-${name}`,
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...changes.metadata,
    },
    spec: {
      containers: [{ name: 'main', resources: { requests: requests ?? { cpus: 1, mem: '1Gi' } }, ports: ports ?? [] }],
      ...rest,
    },
    status: changes.status,
  } as unknown as Task;
}

export function volumeDocument(name: string, spec: object = {}, status: Volume['status'] = {}): Volume {
  return {
    apiVersion: 'tepui.dev/v1alpha1',
    kind: 'Volume',
    metadata: { namespace: 'default', name, uid: `uid-of-${name}` },
    spec: { size: '10Gi', ...spec },
    status,
  } as unknown as Volume;
}

export function usesVolume(volumeName: string): Task['spec']['volumes'] {
  return [{ name: 'data', volume: { volumeName } }];
}

export function condition(type: string, status: 'True' | 'False' | 'Unknown') {
  return { type, status, lastTransitionTime: '2026-01-01T00:00:00Z', reason: type, message: '' };
}
