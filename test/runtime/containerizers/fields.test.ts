import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import type { Task } from '../../../crds/types.generated.ts';
import { taskFields } from '../../../runtime/containerizers/native/fields.ts';
import { unsupportedFields } from '../../../runtime/containerizers/native/unsupported.ts';

interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
}

const crd = parse(readFileSync(join(import.meta.dirname, '../../../crds/tepui.dev_tasks.yaml'), 'utf8')) as {
  spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
};
const specSchema = crd.spec.versions[0]!.schema.openAPIV3Schema.properties!.spec!;

const task = (spec: object): Task =>
  ({ metadata: { name: 't' }, spec: { containers: [{ name: 'main', command: ['true'] }], ...spec } }) as Task;
const container = (fields: object): Task => task({ containers: [{ name: 'main', command: ['true'], ...fields }] });

describe('the table of fields', () => {
  test('has every field of a Task in the CRD: nothing that is declared is ignored silently', () => {
    const missing = leaves(specSchema, 'spec').filter(
      (path) => !prefixes(path).some((prefix) => prefix in taskFields && !isCountOnly(prefix)),
    );
    expect(missing).toEqual([]);
  });

  test('has no field that the CRD does not have', () => {
    const known = new Set(leaves(specSchema, 'spec').flatMap(prefixes));
    expect(Object.keys(taskFields).filter((path) => !known.has(path))).toEqual([]);
  });
});

describe('unsupportedFields', () => {
  test('accepts a task that asks for nothing special, with the defaults of the API server filled in', () => {
    const filled = container({
      resources: { requests: { cpus: '100m', mem: '128Mi' }, exclusiveCpus: false },
      security: {
        noNewPrivileges: true,
        seccompProfile: { type: 'RuntimeDefault' },
        readOnlyRootFilesystem: true,
        privileged: false,
        userNamespace: 'Auto',
      },
      namespaces: { pid: 'Private', ipc: 'Private' },
      tty: false,
      stdin: false,
      stopSignal: 'SIGTERM',
      logs: { maxSize: '10Mi', maxFiles: 2 },
      devices: [],
    });
    filled.spec = {
      ...filled.spec,
      network: { mode: 'Host' },
      shareCgroups: true,
      revocable: false,
      initContainers: [],
    };
    expect(unsupportedFields(filled)).toEqual([]);
  });

  test.each<[string, Task, string]>([
    [
      'an init container without a command',
      task({ initContainers: [{ name: 'a' }] }),
      'spec.initContainers[0]: needs command or shell',
    ],
    ['a writable root', container({ security: { readOnlyRootFilesystem: false } }), 'needs an image'],
    [
      'a CSI volume',
      task({ volumes: [{ name: 'a' }, { name: 's', csi: { driver: 'd', volumeHandle: 'h' } }] }),
      'spec.volumes[1].csi: is not implemented yet',
    ],
    ['no command', task({ containers: [{ name: 'main' }] }), 'spec.containers[0]: needs command or shell'],
  ])('refuses %s by the name of the field', (_what, document, message) => {
    expect(unsupportedFields(document)).toEqual([expect.stringContaining(message)]);
  });
});

/** All paths without fields of their own. Free-form objects count as one. */
function leaves(schema: Schema, path: string): string[] {
  if (schema.items) return leaves(schema.items, `${path}[]`);
  const properties = Object.entries(schema.properties ?? {});
  if (properties.length === 0) return [path];
  return properties.flatMap(([name, child]) => leaves(child, `${path}.${name}`));
}

/** The path itself and all that contain it, with and without the brackets of a list. */
function prefixes(path: string): string[] {
  const parts = path.split('.');
  return parts.flatMap((_, index) => {
    const prefix = parts.slice(0, index + 1).join('.');
    return prefix.endsWith('[]') ? [prefix, prefix.slice(0, -2)] : [prefix];
  });
}

/** `spec.containers` only counts them: it does not stand for their fields. */
function isCountOnly(path: string): boolean {
  return path === 'spec.containers';
}
