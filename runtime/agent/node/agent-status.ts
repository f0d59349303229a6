/** The agent's half of the Agent document. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Agent, AgentStatus, Condition } from '../../../crds/types.generated.ts';
import { disabledIsolatorsProblem } from '../../isolators/disabled.ts';
import type { AgentResourceLists } from '../../resources/capacity.ts';
import type { AgentPolicy } from '../tasks/context.ts';
import type { VolumesReport } from '../volumes/keeper.ts';

/** What the process knows of itself; all but `networks` stays as it is. */
export interface AgentFacts {
  agentId: string;
  bootId: string;
  hostname: string;
  version: string;
  startTime: string;
  addresses: AgentStatus['addresses'];
  endpoint: AgentStatus['endpoint'];
  platform: AgentStatus['platform'];
  containerizers: AgentStatus['containerizers'];
  networks: NonNullable<AgentStatus['networks']>;
}

/** What tasks cannot have is in `status.containerizers[].unsupported`. */
function readyMessage({ platform }: AgentFacts): string {
  return platform?.features?.includes('rootless') ? 'the agent runs tasks, without root' : 'the agent runs tasks';
}

/** Features of Mesos's agents that this one has. */
const CAPABILITIES = ['MultiRole', 'HierarchicalRole', 'TaskResourceLimits'];

/** A merge patch for the status. Fields of the controllers (allocated, offered, drain ...) are left alone. */
export function agentStatusPatch(
  agent: Agent,
  facts: AgentFacts,
  resources: AgentResourceLists & VolumesReport,
  now: Date,
): { status: AgentStatus } {
  const problem = unsupportedSpec(agent) ?? missingContainerizer(agent, facts);
  return {
    status: {
      observedGeneration: agent.metadata.generation,
      ...facts,
      containerizers: inUse(agent, facts),
      ...resources,
      capabilities: CAPABILITIES,
      conditions: [
        ...(agent.status?.conditions ?? []).filter(({ type }) => type !== 'Ready' && type !== 'Reachable'),
        condition(
          agent,
          'Ready',
          problem === undefined,
          problem?.reason ?? 'AgentRegistered',
          problem?.message ?? readyMessage(facts),
          now,
        ),
        condition(agent, 'Reachable', true, 'AgentRegistered', 'the agent renews its lease', now),
      ],
    },
  };
}

/** Whether the document says what a patch made now would say; times aside. */
export function isRegistered(agent: Agent, facts: AgentFacts, resources: AgentResourceLists & VolumesReport): boolean {
  const { status } = agent;
  if (status === undefined || status.observedGeneration !== agent.metadata.generation) return false;
  const wanted = agentStatusPatch(agent, facts, resources, new Date()).status;
  const conditionsHold = (wanted.conditions ?? []).every((want) =>
    status.conditions?.some(
      (have) => have.type === want.type && have.status === want.status && have.reason === want.reason,
    ),
  );
  return (
    conditionsHold &&
    status.agentId === facts.agentId &&
    status.bootId === facts.bootId &&
    status.startTime === facts.startTime &&
    isDeepStrictEqual(status.endpoint, facts.endpoint) &&
    isDeepStrictEqual(status.networks ?? [], facts.networks) &&
    isDeepStrictEqual(status.disks ?? [], resources.disks) &&
    (resources.retainedVolumes === undefined ||
      isDeepStrictEqual(status.retainedVolumes ?? [], resources.retainedVolumes)) &&
    isDeepStrictEqual(status.allocatable, resources.allocatable)
  );
}

/** Agent.spec as it decides how tasks run. Defaults as in the CRD, for a server that did not fill them in. */
export function policyOf(agent: Agent | undefined): AgentPolicy {
  const { isolation, switchUser } = agent?.spec ?? {};
  return {
    allowPrivileged: isolation?.allowPrivileged ?? false,
    allowHostNamespaces: isolation?.allowHostNamespaces ?? false,
    allowedHostPaths: isolation?.allowedHostPaths ?? [],
    allowUnconfined: isolation?.allowUnconfined ?? false,
    defaultUser: isolation?.defaultUser ?? 'nobody',
    defaultPidsLimit: isolation?.defaultPidsLimit ?? 4096,
    switchUser: switchUser ?? true,
    // Not known yet: nothing is lost by keeping them until it is.
    keepsSandboxes: agent === undefined || agent.spec.housekeeping !== undefined,
  };
}

/** Declared wishes that this agent cannot honour yet make it not Ready: it must not run tasks under another policy than was asked for. */
function unsupportedSpec({ spec }: Agent): { reason: string; message: string } | undefined {
  if (spec.gone)
    return { reason: 'AgentRemovedByOperator', message: 'the operator marked this agent gone (spec.gone)' };
  const { isolation, oversubscription } = spec;
  const refused = [...(oversubscription !== undefined ? ['oversubscription'] : [])];
  const disabled = disabledIsolatorsProblem(isolation?.disabledIsolators);
  if (disabled !== undefined) return { reason: 'InvalidSpec', message: disabled };
  if (refused.length === 0) return undefined;
  return { reason: 'InvalidSpec', message: refused.map((field) => `spec.${field} is not implemented yet`).join('; ') };
}

/** A task must not silently run in another way than the operator wants. */
function missingContainerizer(
  { spec }: Agent,
  { containerizers }: AgentFacts,
): { reason: string; message: string } | undefined {
  const there = (containerizers ?? []).map(({ name }) => name);
  const missing = (spec.containerizers ?? []).find((name) => !there.includes(name));
  if (missing === undefined) return undefined;
  const message = `spec.containerizers: ${missing} is not available on this machine, which has ${there.join(', ')}`;
  return { reason: 'InvalidSpec', message };
}

/** Without the isolators that the operator has switched off. */
function inUse({ spec }: Agent, { containerizers }: AgentFacts): AgentFacts['containerizers'] {
  const disabled = spec.isolation?.disabledIsolators ?? [];
  return containerizers?.map(({ isolators, ...containerizer }) => ({
    ...containerizer,
    ...(isolators && { isolators: isolators.filter((name) => !disabled.includes(name)) }),
  }));
}

function condition(agent: Agent, type: string, holds: boolean, reason: string, message: string, now: Date): Condition {
  const status = holds ? 'True' : 'False';
  const before = agent.status?.conditions?.find((candidate) => candidate.type === type);
  return {
    type,
    status,
    reason,
    message,
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : now.toISOString(),
    ...(agent.metadata.generation !== undefined && { observedGeneration: agent.metadata.generation }),
  };
}
