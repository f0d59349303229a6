/** What the docker containerizer refuses: it runs tasks of one container with an image, and has its own networks and volumes. Pure. */
import type { AgentContainerizer, Task, TaskContainer } from '../../../crds/types.generated.ts';
import { parameterProblem } from './parameters.ts';

const only = 'containerizer docker';

type TaskCheck = (spec: Task['spec']) => string | undefined;
type ContainerCheck = (container: TaskContainer) => string | undefined;

/** Field of the task -> why a value cannot be honoured. */
const taskRefusals: Record<string, TaskCheck> = {
  'spec.containers': ({ containers }) => (containers.length > 1 ? `${only} runs tasks of one container` : undefined),
  'spec.initContainers': ({ initContainers }) =>
    initContainers?.length ? `${only} runs tasks of one container` : undefined,
  'spec.network.networks': ({ network }) =>
    (network?.networks?.length ?? 0) > 1 ? `${only} joins one network of the engine` : undefined,
  'spec.network.networks[].ipAddresses': ({ network }) =>
    network?.networks?.some(({ ipAddresses }) => ipAddresses?.length)
      ? `${only} takes the address that the engine gives`
      : undefined,
  'spec.volumes[].image': ({ volumes }) =>
    volumes?.some(({ image }) => image) ? `${only} mounts no images as volumes` : undefined,
};

const containerRefusals: Record<string, ContainerCheck> = {
  image: ({ image }) =>
    image === undefined
      ? `${only} runs images only`
      : /^(oci|oci-archive|docker-archive):/.test(image)
        ? `${only} takes images from registries and from the engine's own store`
        : undefined,
  tty: ({ tty }) => (tty ? `${only} has no terminal but in exec` : undefined),
  stdin: ({ stdin }) => (stdin ? `${only} has no standard input but in exec` : undefined),
  'namespaces.pid': ({ namespaces }) =>
    namespaces?.pid === 'Task' ? `${only} runs tasks of one container` : undefined,
  'security.userNamespace': ({ security }) =>
    security?.userNamespace === 'Private'
      ? `${only} leaves user namespaces to the engine's own configuration`
      : undefined,
  'security.capabilities.bounding': ({ security }) =>
    security?.capabilities?.bounding ? `${only} has one set of capabilities` : undefined,
  'security.capabilities.effective': ({ security }) =>
    security?.privileged && security.capabilities?.effective
      ? `${only} gives privileged containers every capability`
      : undefined,
  'devices[].cdi': ({ devices }) => (devices?.some(({ cdi }) => cdi) ? `${only} takes device files only` : undefined),
  'devices[].containerPath': ({ devices }) =>
    devices?.some(({ path, containerPath = path }) => containerPath !== path)
      ? `${only} keeps the paths of devices`
      : undefined,
  'resources.cpuset': ({ resources }) => (resources?.cpuset ? `${only} leaves processors to the engine` : undefined),
  'resources.memoryNodes': ({ resources }) =>
    resources?.memoryNodes ? `${only} leaves memory nodes to the engine` : undefined,
  'resources.exclusiveCpus': ({ resources }) =>
    resources?.exclusiveCpus ? `${only} leaves processors to the engine` : undefined,
  'resources.hugepages': ({ resources }) =>
    resources?.hugepages?.length ? `${only} has no limits for huge pages` : undefined,
  'resources.io': ({ resources }) => (resources?.io ? `${only} has no limits for disk input and output` : undefined),
  'resources.limits.swap': ({ resources }) =>
    resources?.limits?.swap !== undefined && String(resources.limits.swap) !== '0'
      ? `${only} gives no swap`
      : undefined,
  'resources.requests.gpus': ({ resources }) =>
    resources?.requests?.gpus !== undefined && String(resources.requests.gpus) !== '0'
      ? `${only} has no GPUs`
      : undefined,
  'docker.parameters': ({ docker }) =>
    docker?.parameters?.map(parameterProblem).find((problem) => problem !== undefined),
};

/** `field: reason` sentences; empty when it can run the task. */
export function dockerUnsupported({ spec }: Task): string[] {
  const problems = Object.entries(taskRefusals).flatMap(([field, check]) => sentence(field, check(spec)));
  for (const [index, container] of spec.containers.entries())
    for (const [field, check] of Object.entries(containerRefusals))
      problems.push(...sentence(`spec.containers[${index}].${field}`, check(container)));
  return problems;
}

function sentence(field: string, reason: string | undefined): string[] {
  return reason === undefined ? [] : [`${field}: ${reason}`];
}

/** For Agent.status. */
export function describeDocker(version: string): AgentContainerizer {
  const fields = [
    ...Object.keys(taskRefusals),
    ...Object.keys(containerRefusals).map((field) => `spec.containers[].${field}`),
  ];
  return { name: 'docker', version, unsupported: fields };
}
