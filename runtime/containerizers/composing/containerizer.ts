/**
 * Tries containerizers in the operator's order: the first that supports a task runs it, and goes on to be the one for all of its containers, also after
 * a restart of the agent (Mesos's composing containerizer).
 *
 * Guarantees: a containerizer that no task needs and that left nothing behind is never opened, so it costs nothing.
 */
import type { AgentContainerizer, Task } from '../../../crds/types.generated.ts';
import type { Containerizer, GroupSpec, LaunchSpec } from '../containerizer.ts';
import { ContainerNotRunning } from '../native/exec.ts';
import { Unsupported } from '../unsupported.ts';
import type { Member, MemberName } from './member.ts';

export interface ComposingOptions {
  members: Member[];
  /** Names in the order they are asked, asked for anew for each task. */
  order(): readonly MemberName[];
}

export function createComposingContainerizer({ members, order }: ComposingOptions): Containerizer {
  const opened = new Map<MemberName, Promise<Containerizer>>();
  /** By container and by group id. */
  const owners = new Map<string, Member>();

  const open = (member: Member): Promise<Containerizer> => {
    const known = opened.get(member.name);
    if (known) return known;
    const opening = member.open();
    opened.set(member.name, opening);
    // Tried anew for the next task: the daemon may be there then.
    opening.catch(() => opened.delete(member.name));
    return opening;
  };
  const chosen = (task: Task): Member | undefined =>
    candidates().find((member) => member.unsupported(task).length === 0);
  const candidates = (): Member[] =>
    order().flatMap((name) => members.filter((member) => member.name === name && member.problem() === undefined));
  const chooseFor = (task: Task, id: string): Member => {
    const member = owners.get(id) ?? chosen(task);
    if (!member) throw new Error(refusals(task).join('; '));
    return member;
  };
  const refusals = (task: Task): string[] => {
    const problems = order().flatMap((name) => {
      const member = members.find((candidate) => candidate.name === name);
      const missing = member ? member.problem() : 'this agent does not know it';
      const reasons = missing === undefined ? member!.unsupported(task) : [`not available: ${missing}`];
      return reasons.map((reason) => (order().length > 1 || missing !== undefined ? `${name}: ${reason}` : reason));
    });
    return problems;
  };
  const owner = async (id: string): Promise<Containerizer> => {
    const member = owners.get(id);
    if (!member) throw new ContainerNotRunning(id);
    return open(member);
  };
  const optional = async <Name extends 'freeze' | 'attach' | 'copy' | 'dial'>(
    id: string,
    verb: Name,
  ): Promise<NonNullable<Containerizer[Name]>> => {
    const containerizer = await owner(id);
    const found = containerizer[verb];
    if (!found) throw new Unsupported(`containerizer ${containerizer.name} cannot ${verb} a container`);
    return found;
  };

  return {
    name: 'composing',
    unsupported: (task) => (chosen(task) ? [] : refusals(task)),
    pullsImages: (task) => chosen(task)?.pullsImages ?? false,
    hasOwnNetworks: (task) => chosen(task)?.hasOwnNetworks ?? false,
    networks: async () => (await Promise.all(candidates().map((member) => member.networks?.() ?? []))).flat(),
    async recover(expected) {
      const recovered = [];
      for (const member of members) {
        if (member.name !== 'native' && !member.hasLeftovers()) continue;
        const found = await (await open(member)).recover(expected);
        for (const { containerId } of found) owners.set(containerId, member);
        recovered.push(...found);
      }
      return recovered;
    },
    async removeOrphans() {
      for (const containerizer of await all(undefined)) await containerizer.removeOrphans();
    },
    async prepareGroup(group: GroupSpec) {
      const member = chooseFor(group.task, group.groupId);
      owners.set(group.groupId, member);
      await (await open(member)).prepareGroup?.(group);
    },
    async groupEnded(groupId) {
      for (const containerizer of await all(owners.get(groupId))) await containerizer.groupEnded?.(groupId);
    },
    async destroyGroup(groupId) {
      for (const containerizer of await all(owners.get(groupId))) await containerizer.destroyGroup?.(groupId);
      owners.delete(groupId);
    },
    async launch(spec: LaunchSpec, signal) {
      const member = chooseFor(spec.task, spec.groupId ?? spec.containerId);
      owners.set(spec.containerId, member);
      return (await open(member)).launch(spec, signal);
    },
    async wait(containerId) {
      const endings = [];
      for (const containerizer of await all(owners.get(containerId)))
        endings.push(await containerizer.wait(containerId));
      return endings.find(({ lost }) => !lost) ?? endings[0]!;
    },
    async signal(containerId, signal) {
      for (const containerizer of await all(owners.get(containerId))) await containerizer.signal(containerId, signal);
    },
    async destroy(containerId) {
      for (const containerizer of await all(owners.get(containerId))) await containerizer.destroy(containerId);
      owners.delete(containerId);
    },
    update: async (containerId, resources) => (await owner(containerId)).update(containerId, resources),
    usage: async (containerId) => (await owner(containerId)).usage(containerId),
    exec: async (request) => (await owner(request.containerId)).exec(request),
    freeze: async (containerId, frozen) => (await optional(containerId, 'freeze'))(containerId, frozen),
    copy: async (request) => (await optional(request.containerId, 'copy'))(request),
    attach: async (request) => (await optional(request.containerId, 'attach'))(request),
    dial: async (containerId, ...rest) => (await optional(containerId, 'dial'))(containerId, ...rest),
    async describe() {
      const described: AgentContainerizer[] = [];
      for (const member of members) if (member.problem() === undefined) described.push(await member.describe());
      return described;
    },
    async close() {
      for (const opening of opened.values()) await (await opening).close();
      opened.clear();
    },
  };

  /** The owner; or, of what nobody is known to own (an id of before the start), everybody that is open. */
  function all(member: Member | undefined): Promise<Containerizer[]> {
    return Promise.all(member ? [open(member)] : opened.values());
  }
}
