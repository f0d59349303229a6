/** Resolves `env[].valueFrom` through the API at launch. Values stay in memory: never in checkpoints, never in logs or messages. */

import type { ApiClient, ApiObject } from '../../../controllers/machinery/client/client.ts';
import { ApiStatusError } from '../../../controllers/machinery/client/errors.ts';
import { ConfigMap, Secret } from '../../../controllers/machinery/client/resources.ts';
import type { Task, TaskContainer } from '../../../crds/types.generated.ts';

/** A variable names something that does not exist. The message is fit for the user and holds no value. */
export class EnvironmentSourceMissing extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'EnvironmentSourceMissing';
  }
}

/** All variables of the container. Rejects with EnvironmentSourceMissing, or with the client's error when the API is away (worth a retry). */
export async function resolveEnvironment(
  client: ApiClient,
  task: Task,
  container: TaskContainer,
): Promise<Record<string, string>> {
  const namespace = task.metadata?.namespace ?? '';
  const cache = new Map<string, Promise<ApiObject | undefined>>();
  const read = async <T extends ApiObject>(
    what: string,
    variable: string,
    get: () => Promise<T | undefined>,
  ): Promise<T | undefined> => {
    const found = cache.get(what) ?? get();
    cache.set(what, found);
    try {
      return (await found) as T | undefined;
    } catch (error) {
      // Not allowed to read it, or a server that has no such kind: trying again would wait for ever without a word to the user.
      const isFinal = error instanceof ApiStatusError && (error.code === 403 || error.code === 404);
      throw isFinal
        ? new EnvironmentSourceMissing(`env ${variable}: the agent cannot read ${what}: ${error.message}`)
        : error;
    }
  };
  const resolved: Record<string, string> = {};
  for (const variable of container.env ?? []) {
    const { secretKeyRef, configMapKeyRef, fieldRef } = variable.valueFrom ?? {};
    if (secretKeyRef !== undefined) {
      const { name, key } = secretKeyRef;
      const secret = await read(`secret "${name}"`, variable.name, () => client.get(Secret, { namespace, name }));
      const value = secret?.data?.[key];
      if (value === undefined && secretKeyRef.optional) continue;
      if (value === undefined) throw missing(variable.name, 'secret', name, key, secret !== undefined);
      resolved[variable.name] = Buffer.from(value, 'base64').toString('utf8');
    } else if (configMapKeyRef !== undefined) {
      const { name, key } = configMapKeyRef;
      const configMap = await read(`config map "${name}"`, variable.name, () =>
        client.get(ConfigMap, { namespace, name }),
      );
      const value = configMap?.data?.[key];
      if (value === undefined && configMapKeyRef.optional) continue;
      if (value === undefined) throw missing(variable.name, 'config map', name, key, configMap !== undefined);
      resolved[variable.name] = value;
    } else if (fieldRef !== undefined) {
      resolved[variable.name] = taskField(task, fieldRef.fieldPath);
    } else {
      resolved[variable.name] = variable.value ?? '';
    }
  }
  return resolved;
}

/** The fields that `fieldRef` may name; an absent one is empty, as with an unset label. Pure. */
export function taskField(task: Task, path: string): string {
  const [, map, key] = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path) ?? [];
  if (map !== undefined && key !== undefined) return task.metadata[map as 'labels' | 'annotations']?.[key] ?? '';
  let value: unknown = task;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function missing(variable: string, kind: string, name: string, key: string, exists: boolean): EnvironmentSourceMissing {
  const problem = exists ? `${kind} "${name}" has no key "${key}"` : `${kind} "${name}" does not exist`;
  return new EnvironmentSourceMissing(`env ${variable}: ${problem}`);
}
