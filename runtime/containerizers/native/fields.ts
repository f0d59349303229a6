/**
 * Who honours each field of a Task. A field of the CRD is either in this table (itself or a part of its path that contains it) or the tests
 * fail: what is declared is never ignored silently.
 */

/** The parts that honour a field. `status` fields are written, not honoured. */
export type Honoured = 'native' | 'agent' | 'controllers' | 'shown';
/** Why a value cannot be honoured; undefined when this one can. */
export type Refusal = (value: unknown) => string | undefined;

const notYet: Refusal = () => 'is not implemented yet';
/** Accepts the values that ask for nothing. */
const unless =
  (accepted: unknown[], reason: string): Refusal =>
  (value) =>
    accepted.includes(value) ? undefined : `${JSON.stringify(value)} ${reason}`;

export const taskFields: Record<string, Honoured | Refusal> = {
  'spec.priority': 'controllers',
  'spec.placement': 'controllers',
  'spec.frameworkName': 'controllers',
  'spec.index': 'controllers',
  'spec.role': 'controllers',
  'spec.binding': 'controllers',
  'spec.desiredState': 'agent',
  'spec.user': 'agent',
  'spec.killPolicy': 'agent',
  'spec.maxCompletionTimeSeconds': 'agent',
  'spec.restartPolicy': 'agent',
  'spec.taskLabels': 'shown',
  'spec.discovery': 'shown',
  // With one container both values mean the same.
  'spec.shareCgroups': 'native',
  'spec.revocable': unless([false], 'is not implemented yet'),
  'spec.imagePullSecrets': 'agent',
  'spec.external': notYet,
  'spec.initContainers': 'agent',
  // The agent makes the network (runtime/network), and its files; the containerizer joins the one and binds the other.
  'spec.network': 'agent',

  'spec.volumes[].name': 'agent',
  'spec.volumes[].volume': 'agent',
  'spec.volumes[].hostPath.path': 'agent',
  'spec.volumes[].hostPath.type': 'agent',
  'spec.volumes[].hostPath.propagation': 'native',
  'spec.volumes[].sandboxPath': 'agent',
  'spec.volumes[].tmpfs': 'agent',
  'spec.volumes[].secret': 'agent',
  'spec.volumes[].configMap': 'agent',
  'spec.volumes[].image': 'agent',
  'spec.volumes[].csi': notYet,

  'spec.containers': 'agent',
  'spec.containers[].name': 'agent',
  'spec.containers[].image': 'agent',
  'spec.containers[].imagePullPolicy': 'agent',
  'spec.containers[].command': 'native',
  'spec.containers[].args': 'native',
  'spec.containers[].shell': 'native',
  'spec.containers[].workingDir': 'native',
  'spec.containers[].env': 'agent',
  'spec.containers[].user': 'agent',
  'spec.containers[].pidsLimit': 'native',
  'spec.containers[].ports': 'controllers',
  'spec.containers[].rlimits': 'native',
  'spec.containers[].logs': 'native',
  'spec.containers[].docker': () => 'only the containerizer docker takes its parameters',
  'spec.containers[].stopSignal': 'agent',
  'spec.containers[].resources.requests.cpus': 'native',
  'spec.containers[].resources.requests.mem': 'native',
  // Counted by the scheduler, and the limit where there is no other.
  'spec.containers[].resources.requests.disk': 'agent',
  'spec.containers[].resources.requests.gpus': 'agent',
  'spec.containers[].resources.requests.custom': 'controllers',
  'spec.containers[].resources.limits.cpus': 'native',
  'spec.containers[].resources.limits.mem': 'native',
  'spec.containers[].resources.limits.disk': 'agent',
  'spec.containers[].resources.limits.swap': 'native',
  'spec.containers[].resources.diskEnforcement': 'agent',
  'spec.containers[].resources.cpuset': 'native',
  'spec.containers[].resources.memoryNodes': 'native',
  'spec.containers[].resources.exclusiveCpus': 'native',
  'spec.containers[].resources.hugepages': 'native',
  'spec.containers[].resources.io': 'native',
  'spec.containers[].volumeMounts[].name': 'agent',
  'spec.containers[].volumeMounts[].mountPath': 'native',
  'spec.containers[].volumeMounts[].subPath': 'agent',
  'spec.containers[].volumeMounts[].readOnly': 'native',
  'spec.containers[].volumeMounts[].propagation': 'native',
  'spec.containers[].security.capabilities': 'native',
  'spec.containers[].security.noNewPrivileges': 'native',
  'spec.containers[].security.seccompProfile': 'native',
  'spec.containers[].security.appArmorProfile': 'native',
  'spec.containers[].security.readOnlyRootFilesystem': 'native',
  'spec.containers[].security.privileged': 'native',
  'spec.containers[].security.userNamespace': 'native',
  'spec.containers[].namespaces': 'native',
  'spec.containers[].devices': 'agent',
  'spec.containers[].healthCheck': 'agent',
  'spec.containers[].readinessCheck': 'agent',
  'spec.containers[].check': 'agent',
  'spec.containers[].uris': 'agent',
  'spec.containers[].dependsOn': 'agent',
  'spec.containers[].tty': 'native',
  'spec.containers[].stdin': 'native',
};
