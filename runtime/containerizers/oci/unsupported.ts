/** What the OCI containerizer refuses beside what the native one refuses: what a runtime has no configuration for, or what is not handed over. Pure. */
import type { AgentContainerizer, Task, TaskContainer } from '../../../crds/types.generated.ts';
import { refusedFields, unsupportedFields } from '../native/unsupported.ts';
import type { OciRuntime } from './runtime.ts';

type Check = (container: TaskContainer) => string | undefined;

/** Field below a container -> why a value of it cannot be honoured here. */
export const ociRefusals: Record<string, Check> = {
  'namespaces.pid': ({ namespaces }) =>
    namespaces?.pid === 'Task' ? 'containerizer oci gives each container its own processes' : undefined,
  'security.userNamespace': ({ security }) =>
    security?.userNamespace === 'Private'
      ? 'containerizer oci runs containers with the user ids of the host'
      : undefined,
  'resources.exclusiveCpus': ({ resources }) =>
    resources?.exclusiveCpus
      ? 'containerizer oci cannot keep the containers of the native one off processors'
      : undefined,
};

const alone =
  'containerizer oci runs tasks of one container: a runtime cannot join what the native launch keeps for a group';

/** Field of the task -> whether it asks for a group. */
const groupFields: Record<string, (spec: Task['spec']) => boolean> = {
  'spec.containers': ({ containers }) => containers.length > 1,
  'spec.initContainers': ({ initContainers }) => (initContainers?.length ?? 0) > 0,
};

/** For Agent.status. The isolators are the native ones: they make the launch data. */
export function describeOci({ name, version }: OciRuntime): AgentContainerizer {
  const own = [...Object.keys(groupFields), ...Object.keys(ociRefusals).map((field) => `spec.containers[].${field}`)];
  return { name: 'oci', version: `${name} ${version}`, unsupported: [...new Set([...refusedFields(), ...own])] };
}

/** `field: reason` sentences; empty when it can run the task. */
export function ociUnsupported(task: Task): string[] {
  const problems = unsupportedFields(task);
  for (const [field, isGroup] of Object.entries(groupFields))
    if (isGroup(task.spec)) problems.push(`${field}: ${alone}`);
  const lists = { containers: task.spec.containers ?? [], initContainers: task.spec.initContainers ?? [] };
  for (const [name, containers] of Object.entries(lists)) {
    for (const [index, container] of containers.entries()) {
      for (const [field, check] of Object.entries(ociRefusals)) {
        const reason = check(container);
        if (reason) problems.push(`spec.${name}[${index}].${field}: ${reason}`);
      }
    }
  }
  return problems;
}
