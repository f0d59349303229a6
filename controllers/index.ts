import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { registerAgentController } from './agent/controller.ts';
import type { AgentControllerOptions } from './agent/options.ts';
import { registerFrameworkController } from './framework/controller.ts';
import { Manager, type ManagerOptions } from './machinery/manager/manager.ts';
import { registerSchedulerController } from './scheduler/controller.ts';
import { registerTaskController, type TaskControllerOptions } from './task/controller.ts';
import { registerOwnerGarbageCollector } from './task/owner-gc.ts';
import { registerVolumeController } from './volume/controller.ts';

export interface ControllersOptions extends Omit<ManagerOptions, 'leaderElection' | 'http'> {
  /** Needed where several processes may run the controllers. Default: false. */
  leaderElect?: boolean;
  /** Namespace of the leader lease. Default: $POD_NAMESPACE, then `tepui-system`. */
  leaderElectionNamespace?: string;
  /** `host:port` of /healthz, /readyz and /metrics; port 0 takes a free one. Default: not served. */
  metricsAddress?: string;
  agent?: AgentControllerOptions;
  task?: TaskControllerOptions;
}

/** All controllers of Tepui in one manager; `run(signal)` runs them, `ready` resolves when they do. */
export function createControllers(options: ControllersOptions): Manager {
  const manager = new Manager({ ...options, ...leaderElectionOf(options), ...httpOf(options) });

  registerFrameworkController(manager);
  registerSchedulerController(manager);
  registerVolumeController(manager);
  registerAgentController(manager, options.agent);
  registerTaskController(manager, options.task);
  registerOwnerGarbageCollector(manager);

  return manager;
}

function leaderElectionOf(options: ControllersOptions): Pick<ManagerOptions, 'leaderElection'> {
  if (!options.leaderElect) return {};
  const namespace = options.leaderElectionNamespace ?? process.env.POD_NAMESPACE ?? 'tepui-system';
  const identity = `${options.instance ?? hostname()}_${randomUUID()}`;
  return { leaderElection: { lease: { namespace, name: 'tepui-controller' }, identity } };
}

function httpOf({ metricsAddress }: ControllersOptions): Pick<ManagerOptions, 'http'> {
  if (!metricsAddress) return {};
  const [, host, port] = /^(.*):(\d+)$/.exec(metricsAddress) ?? [];
  if (port === undefined)
    throw new RangeError(`"${metricsAddress}" is not an address: write HOST:PORT, for example 127.0.0.1:8080`);
  return { http: { ...(host ? { host: host.replace(/^\[|\]$/g, '') } : { host: '0.0.0.0' }), port: Number(port) } };
}
