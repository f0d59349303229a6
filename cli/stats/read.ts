/** What the containers of some tasks have used, from all agents that run them. */
import type { ApiClient } from '../../controllers/machinery/client/client.ts';
import { Task, Volume } from '../../controllers/machinery/client/resources.ts';
import { agentEndpoint } from '../agent-endpoint.ts';
import { describeError } from '../describe-error.ts';
import type { Reading } from './rates.ts';
import { volumeUsage } from './volume-usage.ts';

export interface Selection {
  /** undefined: of all namespaces. */
  namespace: string | undefined;
  /** Only this task. */
  task?: string;
}

/** An agent that does not answer is told of on standard error, and its tasks are left out. */
export async function readStats(
  client: ApiClient,
  token: string | undefined,
  { namespace, task }: Selection,
): Promise<Reading[]> {
  const { items } = await client.list(Task, namespace === undefined ? {} : { namespace });
  const wanted = items.filter(
    ({ status, metadata }) => status?.state === 'Running' && (task === undefined || metadata?.name === task),
  );
  const keys = new Set(wanted.map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`));
  const agents = new Set(wanted.flatMap(({ spec }) => spec.binding?.agentName ?? []));
  const read = [...agents].map(async (agent) => {
    try {
      const response = await (await agentEndpoint(client, agent, token)).get('/stats');
      const body = JSON.parse(Buffer.concat(await response.toArray()).toString()) as { items: Reading[] };
      return body.items.filter(({ namespace, name }) => keys.has(`${namespace}/${name}`));
    } catch (error) {
      process.stderr.write(`tepui: agent ${agent}: ${describeError(error)}\n`);
      return [];
    }
  });
  const readings = (await Promise.all(read)).flat();
  if (!wanted.some(({ spec }) => spec.volumes?.some(({ volume }) => volume !== undefined))) return readings;
  // Who may read tasks need not be allowed to read volumes.
  const volumes = await client.list(Volume, namespace === undefined ? {} : { namespace }).catch(() => undefined);
  return volumes === undefined
    ? readings
    : readings.map((reading) => ({ ...reading, ...volumeUsage(reading, wanted, volumes.items) }));
}
