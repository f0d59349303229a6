import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Store } from '../store/store.ts';
import { type Answer, textAnswer } from './respond.ts';

/** One finished request, for the counters. */
export interface FinishedRequest {
  verb: string;
  group: string;
  version: string;
  resource: string;
  subresource: string;
  scope: 'resource' | 'namespace' | 'cluster' | '';
  code: number;
  durationSeconds: number;
}

export interface ApiMetrics {
  readonly registry: Registry;
  finished(request: FinishedRequest): void;
  transaction(transaction: { records: number; durationMs: number; failed: boolean }): void;
  answer(): Promise<Answer>;
}

/** The names are those of the genuine API server where it has the same thing, so that its dashboards work. */
export function createMetrics(sources: {
  store: () => Store | undefined;
  watches: () => number;
  inFlight: () => number;
}): ApiMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const labels = ['verb', 'group', 'version', 'resource', 'subresource', 'scope'] as const;
  const total = new Counter({
    name: 'apiserver_request_total',
    help: 'Requests by verb, resource and HTTP status.',
    labelNames: [...labels, 'code'],
    registers,
  });
  const duration = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Time from the request headers to the end of the answer, without watches.',
    labelNames: labels,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const transactions = new Histogram({
    name: 'tepui_store_transaction_duration_seconds',
    help: 'Time of one durable transaction (fsync included), which serves all writers that were waiting.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
    registers,
  });
  const records = new Counter({ name: 'tepui_store_records_total', help: 'Objects written durably.', registers });
  const failures = new Counter({
    name: 'tepui_store_transaction_failures_total',
    help: 'Transactions of which nothing was written.',
    registers,
  });
  gauge('apiserver_longrunning_requests', 'Open watches.', registry, sources.watches);
  gauge('apiserver_current_inflight_requests', 'Requests in work, without watches.', registry, sources.inFlight);
  gauge('tepui_store_revision', 'Newest durable revision.', registry, () => sources.store()?.revision ?? 0);
  gauge('tepui_store_history_entries', 'Changes kept for watches.', registry, () => sources.store()?.history.size ?? 0);
  gauge('tepui_store_history_bytes', 'Size of the changes kept.', registry, () => sources.store()?.history.bytes ?? 0);
  new Gauge({
    name: 'apiserver_storage_objects',
    help: 'Stored objects by resource.',
    labelNames: ['resource'],
    registers,
    collect() {
      const store = sources.store();
      for (const key of store?.storageKeys() ?? [])
        this.set({ resource: resourceName(key) }, store!.collection(key).size);
    },
  });

  return {
    registry,
    finished({ code, durationSeconds, ...values }) {
      total.inc({ ...values, code });
      if (values.verb !== 'watch') duration.observe(values, durationSeconds);
    },
    transaction({ records: count, durationMs, failed }) {
      if (failed) return failures.inc();
      transactions.observe(durationMs / 1000);
      records.inc(count);
    },
    async answer() {
      return textAnswer(200, await registry.metrics(), registry.contentType);
    },
  };
}

function gauge(name: string, help: string, registry: Registry, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}

/** `tepui.dev/tasks` is `tasks.tepui.dev` in the genuine metric. */
function resourceName(key: string): string {
  const [group = '', plural = ''] = key.split('/');
  return group ? `${plural}.${group}` : plural;
}
