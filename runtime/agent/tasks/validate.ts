/** What of a Task this agent does not do. A declared field that is not honoured is refused by name, never ignored. Pure. */
import { normalize } from 'node:path';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';
import { checkProblems } from '../../checks/index.ts';
import { fetchProblems } from '../../fetcher/index.ts';
import { parseReference } from '../../images/index.ts';
import { networkProblems } from '../../network/index.ts';
import { groupProblems } from './group-problems.ts';
import { propagationOf } from './mounts.ts';
import { signalNumber } from './outcome.ts';

/** What the operator of this machine allows: Agent.spec.isolation. */
export interface TaskPolicy {
  allowPrivileged: boolean;
  allowHostNamespaces: boolean;
  allowedHostPaths: string[];
  allowUnconfined: boolean;
}

/** Problems as `field: reason`; empty when the agent can do its part. The containerizer is asked for its own. */
export function taskProblems(task: Task, policy: TaskPolicy): string[] {
  const { spec } = task;
  const problems: string[] = [];
  const refuse = (present: boolean, field: string, reason = 'is not implemented yet'): void => {
    if (present) problems.push(`${field}: ${reason}`);
  };
  const containers = spec.containers ?? [];
  refuse(containers.length === 0, 'spec.containers', 'needs one container');
  problems.push(...groupProblems(task));
  for (const [index, volume] of (spec.volumes ?? []).entries()) {
    const path = volume.hostPath?.path;
    const forbidden = path !== undefined && !policy.allowedHostPaths.some((allowed) => isBelow(path, allowed));
    refuse(
      forbidden,
      `spec.volumes[${index}].hostPath.path`,
      `this agent does not allow ${path} (Agent spec.isolation.allowedHostPaths)`,
    );
    problems.push(...imageProblems(volume.image?.reference, `spec.volumes[${index}].image.reference`, policy));
  }
  problems.push(...networkProblems(task));
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      problems.push(...containerProblems(container, `spec.${list}[${index}]`, task));
      problems.push(...fetchProblems(container, `spec.${list}[${index}]`, policy.allowedHostPaths));
      problems.push(...imageProblems(container.image, `spec.${list}[${index}].image`, policy));
      problems.push(...policyProblems(container, `spec.${list}[${index}]`, policy));
    }
  }
  return problems;
}

/** A name that means no image, or a file that tasks may not read: no pull makes these right. */
function imageProblems(reference: string | undefined, field: string, policy: TaskPolicy): string[] {
  if (reference === undefined) return [];
  try {
    const image = parseReference(reference);
    if (image.kind === 'registry' || policy.allowedHostPaths.some((allowed) => isBelow(image.path, allowed))) return [];
    return [`${field}: this agent does not allow ${image.path} (Agent spec.isolation.allowedHostPaths)`];
  } catch (error) {
    return [`${field}: ${(error as Error).message}`];
  }
}

function containerProblems(container: TaskContainer, path: string, task: Task): string[] {
  const problems: string[] = [];
  problems.push(...checkProblems(container, path));
  if (container.stopSignal !== undefined && signalNumber(container.stopSignal) === undefined) {
    problems.push(`${path}.stopSignal: "${container.stopSignal}" is no signal`);
  }
  const volumes = new Map((task.spec.volumes ?? []).map((volume) => [volume.name, volume]));
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const volume = volumes.get(mount.name);
    if (volume === undefined) {
      problems.push(`${path}.volumeMounts[${index}].name: spec.volumes has no "${mount.name}"`);
      continue;
    }
    if (propagationOf(volume, mount) === 'Bidirectional' && !(volume.hostPath && container.security?.privileged)) {
      problems.push(
        `${path}.volumeMounts[${index}].propagation: "Bidirectional" needs a hostPath volume and security.privileged`,
      );
    }
    if (volume.image !== undefined && mount.subPath !== undefined)
      problems.push(`${path}.volumeMounts[${index}].subPath: an image volume is mounted as a whole`);
    if (mount.mountPath.split('/').includes('..'))
      problems.push(`${path}.volumeMounts[${index}].mountPath: must not contain ".."`);
    if (mount.subPath !== undefined && (mount.subPath.startsWith('/') || mount.subPath.split('/').includes('..'))) {
      problems.push(`${path}.volumeMounts[${index}].subPath: must be relative and without ".."`);
    }
  }
  return problems;
}

function policyProblems(container: TaskContainer, path: string, policy: TaskPolicy): string[] {
  const problems: string[] = [];
  if (container.security?.privileged && !policy.allowPrivileged) {
    problems.push(`${path}.security.privileged: this agent does not allow it (Agent spec.isolation.allowPrivileged)`);
  }
  for (const kind of ['pid', 'ipc'] as const) {
    if (container.namespaces?.[kind] !== 'Host' || policy.allowHostNamespaces) continue;
    problems.push(
      `${path}.namespaces.${kind}: this agent does not allow "Host" (Agent spec.isolation.allowHostNamespaces)`,
    );
  }
  for (const profile of ['seccompProfile', 'appArmorProfile'] as const) {
    if (container.security?.[profile]?.type !== 'Unconfined' || policy.allowUnconfined) continue;
    problems.push(
      `${path}.security.${profile}.type: this agent does not allow "Unconfined" (Agent spec.isolation.allowUnconfined)`,
    );
  }
  if (container.security?.privileged && container.security.userNamespace === 'Private')
    problems.push(`${path}.security.userNamespace: "Private" and privileged exclude each other`);
  return problems;
}

/** Whether the path is the directory or below it, by its text: the mount itself is refused where a link leads elsewhere. */
function isBelow(path: string, directory: string): boolean {
  const root = normalize(directory).replace(/\/$/, '');
  const normal = normalize(path);
  return normal === root || normal.startsWith(`${root}/`);
}
