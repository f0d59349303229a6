/**
 * The agent's place in the cluster: its lease, its Agent document, and keeping both. Level-triggered like everything else: whenever the
 * document does not say what the agent is - spec changed, given up by the controllers, deleted - it is written again.
 */

import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { isAlreadyExists } from '../../../controllers/machinery/client/errors.ts';
import { Agent } from '../../../controllers/machinery/client/resources.ts';
import type { Logger } from '../../../controllers/machinery/logger.ts';
import type { AgentDisk, Agent as AgentDocument, AgentIsolation } from '../../../crds/types.generated.ts';
import { type AgentResourceLists, resolveResources } from '../../resources/capacity.ts';
import { offerResources, readMachineFacts } from '../../resources/detect.ts';
import type { VolumesReport } from '../volumes/keeper.ts';
import { type AgentFacts, agentStatusPatch, isRegistered } from './agent-status.ts';
import { acquireLease, type LeaseHolder } from './lease.ts';
import { pause } from './pause.ts';

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 15_000;
/** Between two looks at our document; the controllers may also see an old lease and contradict us for a moment. */
const LOOK_PAUSE_MS = 1_000;

export interface RegistrationOptions {
  client: ApiClient;
  holder: LeaseHolder;
  labels: Record<string, string>;
  facts: AgentFacts;
  /** Its file system is what the disk resource is measured on. */
  workDir: string;
  /** How many whole GPUs the machine has, by this policy. */
  gpus(isolation: AgentIsolation | undefined): number;
  /** Disks and data of Volumes, with the disks that the document declares. */
  volumesReport(declared: readonly AgentDisk[]): Promise<VolumesReport>;
  logger: Logger;
}

export interface Registration {
  /** Resolves when the lease is held and the document is written; until then no task may be started. Never rejects; ends on close. */
  registered: Promise<AgentDocument | undefined>;
  /** A version of our own document from the watch; undefined: it was deleted. */
  documentChanged(agent: AgentDocument | undefined): void;
  close(): Promise<void>;
}

export function startRegistration(options: RegistrationOptions): Registration {
  const { client, holder, facts, logger } = options;
  const closing = new AbortController();
  let latest: AgentDocument | undefined;
  let isKnown = false;
  let again = false;
  let working: Promise<void> | undefined;

  const register = async (): Promise<AgentDocument | undefined> => {
    for (let delay = RETRY_MIN_MS; !closing.signal.aborted; delay = Math.min(delay * 2, RETRY_MAX_MS)) {
      try {
        await acquireLease(client, holder, new Date());
        const agent = await write(await ensureAgent(client, holder.name, options.labels), options);
        logger.info({ agent: holder.name }, 'agent registered');
        return agent;
      } catch (error) {
        logger.warn(
          { err: error, agent: holder.name, requeueAfterMs: delay },
          'agent could not register yet; it is retried',
        );
        await pause(delay, closing.signal);
      }
    }
    return undefined;
  };

  /** At most once per pause, because the scheduler changes the status of a busy agent many times a second. */
  const keep = async (): Promise<void> => {
    while (again && !closing.signal.aborted) {
      again = false;
      try {
        const agent = latest ?? (await ensureAgent(client, holder.name, options.labels));
        if (!isRegistered(agent, facts, await readResources(options, agent))) {
          latest = await write(agent, options);
          logger.info({ agent: holder.name }, 'agent document was written again');
        }
      } catch (error) {
        logger.warn({ err: error, agent: holder.name }, 'agent document could not be written; it is retried');
        again = true;
      }
      await pause(LOOK_PAUSE_MS, closing.signal);
    }
    working = undefined;
  };

  const registered = register();
  void registered.then((agent) => {
    latest ??= agent;
    isKnown = true;
  });
  return {
    registered,
    documentChanged(agent) {
      latest = agent;
      if (!isKnown || closing.signal.aborted) return;
      again = true;
      working ??= keep();
    },
    async close() {
      closing.abort();
      await registered;
      await working;
    },
  };
}

/** Creates the document or adopts the one of that name; its spec is the operator's and is never touched. */
async function ensureAgent(client: ApiClient, name: string, labels: Record<string, string>): Promise<AgentDocument> {
  const existing = await client.get(Agent, { name });
  if (existing === undefined) {
    try {
      return await client.create(Agent, { metadata: { name, labels }, spec: {} });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return ensureAgent(client, name, labels);
    }
  }
  const missing = Object.entries(labels).filter(([key]) => existing.metadata.labels?.[key] === undefined);
  if (missing.length === 0) return existing;
  return client.mergePatch(Agent, { name }, { metadata: { labels: Object.fromEntries(missing) } });
}

async function write(agent: AgentDocument, options: RegistrationOptions): Promise<AgentDocument> {
  const resources = await readResources(options, agent);
  const patch = agentStatusPatch(agent, options.facts, resources, new Date());
  return options.client.mergePatch(Agent, { name: options.holder.name }, patch, 'status');
}

async function readResources(
  { workDir, gpus, volumesReport }: RegistrationOptions,
  agent: AgentDocument,
): Promise<AgentResourceLists & VolumesReport> {
  const machine = { ...(await readMachineFacts({ workDir })), gpus: gpus(agent.spec.isolation) };
  const lists = resolveResources(machine, offerResources(machine), agent.spec.resources);
  return { ...lists, ...(await volumesReport(agent.spec.disks ?? [])) };
}
