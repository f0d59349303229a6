/**
 * How many placements per second the scheduler's plan makes with 5,000 agents and 50,000 tasks of 1,000 frameworks, all waiting at once,
 * and how long one more task takes when all of them are placed. `npx node bench/scheduler.ts [agents] [tasks] [frameworks]`
 */
import { upsertAgent } from '../controllers/scheduler/agents.ts';
import { createCluster } from '../controllers/scheduler/cluster.ts';
import { plan } from '../controllers/scheduler/plan.ts';
import { removeTask, upsertTask } from '../controllers/scheduler/tasks.ts';
import type { Agent, Task } from '../crds/types.generated.ts';

const [agentCount = 5_000, taskCount = 50_000, frameworkCount = 1_000] = process.argv.slice(2).map(Number);

const cluster = createCluster();
const observing = time(() => {
  for (let index = 0; index < agentCount; index += 1) upsertAgent(cluster, agent(index));
  for (let index = 0; index < taskCount; index += 1) upsertTask(cluster, task(index, index % frameworkCount));
});
report('documents taken in', agentCount + taskCount, observing);

let placed = 0;
let plans = 0;
let longestMs = 0;
const placing = time(() => {
  for (let more = true; more; ) {
    const started = performance.now();
    const actions = plan(cluster, Date.now());
    longestMs = Math.max(longestMs, performance.now() - started);
    const bound = actions.filter((action) => action.type === 'BindTask').length;
    placed += bound;
    plans += 1;
    more = bound > 0;
  }
});
report('placements (bar: 5,000/s)', placed, placing);
console.log(`${plans} plans, the longest took ${longestMs.toFixed(1)} ms; ${taskCount - placed} tasks found no place`);

const latencies: number[] = [];
for (let index = 0; index < 500; index += 1) {
  removeTask(cluster, `bench/task-${index}`);
  upsertTask(cluster, task(taskCount + index, index % frameworkCount));
  latencies.push(time(() => plan(cluster, Date.now())));
}
latencies.sort((a, b) => a - b);
console.log(`one more task: p50 ${latencies[250]!.toFixed(3)} ms, p99 ${latencies[495]!.toFixed(3)} ms`);
console.log(`memory: ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB RSS`);
function agent(index: number): Agent {
  return {
    metadata: { name: `agent-${index}`, uid: `a${index}`, labels: { disk: index % 4 === 0 ? 'ssd' : 'hdd' } },
    spec: { attributes: [{ name: 'rack', text: `r${index % 50}` }] },
    status: {
      allocatable: { cpus: 16, mem: '64Gi', disk: '500Gi', ports: '31000-32000' },
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '', reason: 'Ready', message: '' }],
    },
  } as Agent;
}

/** Of four frameworks one asks for a port, one for a label, and one is spread over racks. */
function task(index: number, framework: number): Task {
  const kind = framework % 4;
  return {
    metadata: {
      namespace: 'bench',
      name: `task-${index}`,
      uid: `t${index}`,
      generation: 1,
      creationTimestamp: new Date(1.7e12 + Math.floor(index / 1000) * 1000).toISOString(),
    },
    spec: {
      frameworkName: `framework-${framework}`,
      placement: {
        ...(kind === 1 ? { agentSelector: { matchLabels: { disk: 'ssd' } } } : {}),
        ...(kind === 2 ? { constraints: [{ field: 'rack', operator: 'GroupBy' }] } : {}),
      },
      containers: [
        {
          name: 'main',
          resources: { requests: { cpus: `${500 + 100 * (framework % 10)}m`, mem: `${1 + (framework % 5)}Gi` } },
          ports: kind === 0 ? [{ name: 'http' }] : [],
        },
      ],
    },
  } as unknown as Task;
}

function time(work: () => void): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}

function report(what: string, count: number, ms: number): void {
  console.log(`${what}: ${count} in ${ms.toFixed(0)} ms, ${Math.round(count / (ms / 1000))}/s`);
}
