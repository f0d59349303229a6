import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: manifests of many kinds, read by tests only
  [field: string]: any;
}

/** What `kubectl kustomize` makes of a folder. */
export function kustomize(folder: string): Manifest[] {
  const text = execFileSync('kubectl', ['kustomize', join(ROOT, folder)], { encoding: 'utf8', maxBuffer: 64 << 20 });
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

/** Why kustomize cannot run here. */
export function whyNoKustomize(): string | undefined {
  try {
    execFileSync('kubectl', ['kustomize', '--help'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'no kubectl on PATH (Debian: kubernetes-client)';
  }
}
