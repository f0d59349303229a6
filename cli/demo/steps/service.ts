import { get } from 'node:http';
import { Task } from '../../../controllers/machinery/client/resources.ts';
import type { Checks } from '../checks.ts';
import type { System } from '../system.ts';
import { waitFor } from '../wait-for.ts';

/** (1) The service's two replicas answer requests on the ports they were given. */
export async function serviceAnswers(system: System, checks: Checks): Promise<void> {
  checks.section('1. A service of two replicas');
  const tasks = await runningReplicas(system);
  checks.check('two replicas of "hello" run', tasks.length === 2, tasks.map((task) => task.metadata?.name).join(', '));
  const ports = tasks.map(portOf);
  checks.check(
    'each has a host port of its own',
    new Set(ports).size === 2 && ports.every((port) => port >= 1024),
    ports.join(', '),
  );
  for (const task of tasks) {
    const body = await waitFor(
      `an answer from ${task.metadata?.name}`,
      () => answerOf(portOf(task)),
      15_000,
      system.signal,
    );
    checks.check(
      `${task.metadata?.name} answers on port ${portOf(task)}`,
      body === `hello from ${task.metadata?.name}\n`,
      body.trim(),
    );
  }
}

/** The tasks of the service once both run. */
export async function runningReplicas(system: System): Promise<Task[]> {
  return waitFor(
    'two running replicas of hello',
    async () => {
      const { items } = await system.client.list(Task, {
        namespace: 'default',
        labelSelector: 'tepui.dev/framework=hello',
      });
      const running = items.filter((task) => task.status?.state === 'Running');
      return running.length === 2 ? running : undefined;
    },
    30_000,
    system.signal,
  );
}

export function portOf(task: Task): number {
  return task.spec.binding?.hostPorts?.[0]?.hostPort ?? 0;
}

/** The body of GET / on a port of this machine; undefined when nothing answers there. */
export function answerOf(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, timeout: 2_000, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve(response.statusCode === 200 ? body : undefined));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
  });
}
