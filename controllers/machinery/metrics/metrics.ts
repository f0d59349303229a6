import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestListener } from '../client/client.ts';

/**
 * The metrics of one process, under the names of controller-runtime and client-go, so that existing dashboards work. Each manager has a
 * registry of its own: the library's global one would mix several managers of one process.
 */
export class Metrics {
  readonly registry = new Registry();

  readonly reconcileTotal = this.#counter('controller_runtime_reconcile_total', 'Reconciliations per controller.', [
    'controller',
    'result',
  ]);
  readonly reconcileErrors = this.#counter(
    'controller_runtime_reconcile_errors_total',
    'Reconciliation errors per controller.',
    ['controller'],
  );
  readonly terminalErrors = this.#counter(
    'controller_runtime_terminal_reconcile_errors_total',
    'Reconciliation errors that are never retried.',
    ['controller'],
  );
  readonly panics = this.#counter(
    'controller_runtime_reconcile_panics_total',
    'Reconciliations ended by a programming error.',
    ['controller'],
  );
  readonly timeouts = this.#counter(
    'controller_runtime_reconcile_timeouts_total',
    'Reconciliations that exceeded their time.',
    ['controller'],
  );
  readonly reconcileTime = this.#histogram(
    'controller_runtime_reconcile_time_seconds',
    'Length of time per reconciliation.',
    ['controller'],
    RECONCILE_BUCKETS,
  );
  readonly maxConcurrent = this.#gauge(
    'controller_runtime_max_concurrent_reconciles',
    'Maximum number of concurrent reconciles.',
    ['controller'],
  );
  readonly activeWorkers = this.#gauge('controller_runtime_active_workers', 'Currently used workers.', ['controller']);

  readonly queueDepth = this.#gauge('workqueue_depth', 'Current depth of the queue.', QUEUE_LABELS);
  readonly queueAdds = this.#counter('workqueue_adds_total', 'Adds handled by the queue.', QUEUE_LABELS);
  readonly queueRetries = this.#counter('workqueue_retries_total', 'Retries handled by the queue.', QUEUE_LABELS);
  readonly queueWait = this.#histogram(
    'workqueue_queue_duration_seconds',
    'How long an item waits before it is worked on.',
    QUEUE_LABELS,
    QUEUE_BUCKETS,
  );
  readonly queueWork = this.#histogram(
    'workqueue_work_duration_seconds',
    'How long it takes to work on an item.',
    QUEUE_LABELS,
    QUEUE_BUCKETS,
  );
  readonly queueUnfinished = this.#gauge(
    'workqueue_unfinished_work_seconds',
    'Seconds of work in progress that is not yet observed by work_duration.',
    QUEUE_LABELS,
  );
  readonly queueLongest = this.#gauge(
    'workqueue_longest_running_processor_seconds',
    'How long the longest running worker has been running.',
    QUEUE_LABELS,
  );

  readonly requests = this.#counter('rest_client_requests_total', 'HTTP requests by status code, method and host.', [
    'code',
    'method',
    'host',
  ]);
  readonly requestTime = this.#histogram(
    'rest_client_request_duration_seconds',
    'Request latency by verb and host.',
    ['verb', 'host'],
    QUEUE_BUCKETS,
  );
  readonly isLeader = this.#gauge('leader_election_master_status', 'Whether this process is the leader.', ['name']);
  readonly watchErrors = this.#counter(
    'tepui_watch_errors_total',
    'Lists and watches that failed and were tried again.',
    ['resource', 'op'],
  );
  readonly cachedObjects = this.#gauge('tepui_cache_objects', 'Objects in the cache.', ['resource']);

  /** Listens to an API client. */
  readonly onRequest: RequestListener = ({ verb, method, code, host, seconds }) => {
    this.requests.inc({ code, method, host });
    this.requestTime.observe({ verb, host }, seconds);
  };

  readonly #collectors: (() => void)[] = [];

  /** Called before each scrape, for values that are only worked out when somebody looks. */
  onCollect(collect: () => void): void {
    this.#collectors.push(collect);
  }

  /** The text of /metrics. */
  text(): Promise<string> {
    for (const collect of this.#collectors) collect();
    return this.registry.metrics();
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  #histogram<L extends string>(name: string, help: string, labelNames: readonly L[], buckets: number[]): Histogram<L> {
    return new Histogram({ name, help, labelNames: [...labelNames], buckets, registers: [this.registry] });
  }
}

const QUEUE_LABELS = ['name', 'controller'] as const;
const QUEUE_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];
const RECONCILE_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
