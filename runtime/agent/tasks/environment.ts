/** The environment of a container: Tepui's variables, Mesos's names for the same things, ports, and the document's own on top. Pure. */
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface EnvironmentInput {
  task: Task;
  container: TaskContainer;
  agent: { name: string; agentId: string; hostname: string };
  containerId: string;
  sandbox: string;
  user: { name: string; home: string };
  /** Of the image: over the defaults, under everything else. */
  image?: Record<string, string>;
  /** The container's env with every valueFrom resolved. These win over everything else, as in Mesos. */
  resolved: Record<string, string>;
}

/** All variables; values of `resolved` may be secret, so the result is never logged. */
export function buildEnvironment(input: EnvironmentInput): Record<string, string> {
  const { task, agent, sandbox, user } = input;
  const name = task.metadata?.name ?? '';
  const frameworkName = task.spec.frameworkName;
  return {
    PATH: DEFAULT_PATH,
    HOME: user.home,
    USER: user.name,
    LOGNAME: user.name,
    ...input.image,
    TEPUI_TASK_NAME: name,
    TEPUI_TASK_UID: task.metadata?.uid ?? '',
    TEPUI_NAMESPACE: task.metadata?.namespace ?? '',
    TEPUI_AGENT_NAME: agent.name,
    TEPUI_CONTAINER_NAME: input.container.name,
    TEPUI_SANDBOX: sandbox,
    ...(frameworkName !== undefined && { TEPUI_FRAMEWORK_NAME: frameworkName, MESOS_FRAMEWORK_ID: frameworkName }),
    ...(task.spec.index !== undefined && { TEPUI_TASK_INDEX: String(task.spec.index) }),
    MESOS_TASK_ID: name,
    MESOS_SANDBOX: sandbox,
    MESOS_DIRECTORY: sandbox,
    MESOS_AGENT_ID: agent.agentId,
    MESOS_SLAVE_ID: agent.agentId,
    MESOS_CONTAINER_ID: input.containerId,
    MESOS_ALLOCATION_ROLE: task.spec.role ?? '*',
    HOST: agent.hostname,
    ...portVariables(task, input.container),
    ...input.resolved,
  };
}

interface Port {
  name: string | undefined;
  number: string;
}

/**
 * PORT, PORT0, PORT1 ..., PORTS and PORT_<NAME>, as Marathon sets them, in the order the container declares them: what a server is to listen on. With the
 * host's network these are the host's ports; with a network of the task's own the container's, and HOST_PORT_<NAME> is what leads to them.
 */
function portVariables(task: Task, container: TaskContainer): Record<string, string> {
  const bound = (task.spec.binding?.hostPorts ?? [])
    .filter((port) => port.container === undefined || port.container === container.name)
    .map(({ name, hostPort }): Port => ({ name, number: String(hostPort) }));
  if ((task.spec.network?.mode ?? 'Host') === 'Host') return variablesOf(bound);
  const own = (container.ports ?? []).flatMap(({ name, containerPort }): Port[] => {
    const number =
      containerPort === undefined ? bound.find((port) => port.name === name)?.number : String(containerPort);
    return number === undefined ? [] : [{ name, number }];
  });
  return { ...variablesOf(own), ...byName('HOST_PORT_', bound) };
}

function variablesOf(ports: Port[]): Record<string, string> {
  if (ports.length === 0) return {};
  return {
    PORT: ports[0]!.number,
    PORTS: ports.map((port) => port.number).join(','),
    ...Object.fromEntries(ports.map((port, index) => [`PORT${index}`, port.number])),
    ...byName('PORT_', ports),
  };
}

function byName(prefix: string, ports: Port[]): Record<string, string> {
  const named = ports.filter(({ name }) => name);
  return Object.fromEntries(
    named.map(({ name, number }) => [`${prefix}${name!.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`, number]),
  );
}
