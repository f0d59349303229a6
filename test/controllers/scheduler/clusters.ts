import { upsertAgent } from '../../../controllers/scheduler/agents.ts';
import { type Cluster, createCluster } from '../../../controllers/scheduler/cluster.ts';
import type { Action } from '../../../controllers/scheduler/plan.ts';
import { upsertTask } from '../../../controllers/scheduler/tasks.ts';
import { upsertVolume } from '../../../controllers/scheduler/volumes.ts';
import type { Agent, Task, Volume } from '../../../crds/types.generated.ts';

export function clusterOf(agents: Agent[], tasks: Task[], volumes: Volume[] = []): Cluster {
  const cluster = createCluster();
  for (const agent of agents) upsertAgent(cluster, agent);
  for (const volume of volumes) upsertVolume(cluster, volume);
  for (const task of tasks) upsertTask(cluster, task);
  return cluster;
}

export function placements(actions: Action[]): Record<string, string> {
  return Object.fromEntries(
    actions.flatMap((action) =>
      action.type === 'BindTask' ? [[action.key.slice(action.key.indexOf('/') + 1), action.agentName]] : [],
    ),
  );
}

export function messages(actions: Action[]): string[] {
  return actions.flatMap((action) => (action.type === 'ReportUnplaced' ? [action.explanation.message] : []));
}
