import type { ApiClient } from '../../../controllers/machinery/client/client.ts';
import { Agent } from '../../../controllers/machinery/client/resources.ts';
import { setCondition } from '../../../controllers/machinery/conditions.ts';
import type { Agent as AgentDocument } from '../../../crds/types.generated.ts';

/**
 * Tells that this agent stops on purpose, so that no task is bound to it until it is back; otherwise that would go on until its lease is over.
 * Its running tasks stay what they are. Only an attempt: an agent that cannot reach the API server just stops.
 */
export async function announceStop(client: ApiClient, agent: AgentDocument): Promise<void> {
  const { name, uid } = agent.metadata;
  try {
    const current = await client.get(Agent, { name: name ?? '' });
    if (current === undefined || current.metadata.uid !== uid) return;
    const conditions = setCondition(
      current.status?.conditions,
      {
        type: 'Ready',
        status: 'False',
        reason: 'AgentStopped',
        message: 'the agent was stopped; its running tasks go on',
      },
      new Date().toISOString(),
    );
    const { resourceVersion } = current.metadata;
    await client.mergePatch(
      Agent,
      { name: name ?? '' },
      { metadata: { resourceVersion }, status: { conditions } },
      'status',
    );
  } catch {
    // Its lease will run out.
  }
}
