/** Reads from the sources which calls a program makes, and from the manifests which its service account may make. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifest, ROOT } from './kustomize.ts';

/** For example `patch tasks/status`. */
export type Access = string;

const PLURALS: Record<string, string> = {
  Framework: 'frameworks',
  Task: 'tasks',
  Volume: 'volumes',
  Agent: 'agents',
  FrameworkRole: 'frameworkroles',
  Lease: 'leases',
  Event: 'events',
  CoreEvent: 'events',
  Secret: 'secrets',
  ConfigMap: 'configmaps',
  Namespace: 'namespaces',
};
const VERBS: Record<string, string> = { mergePatch: 'patch', jsonPatch: 'patch', updateStatus: 'update' };

/** Every call that names its kind: client.<method>(Kind, ...), patchStatus(client, Kind, ...), manager.informer(Kind), .for(Kind), .owns(Kind). */
export function accessesIn(folders: string[]): Set<Access> {
  const found = new Set<Access>();
  for (const file of folders.flatMap(sourcesIn)) {
    const text = readFileSync(file, 'utf8');
    for (const [, method, kind, rest] of text.matchAll(
      /\b[cC]lient\.(get|list|watch|create|update|updateStatus|mergePatch|jsonPatch|delete)(?:<\w+>)?\(\s*(\w+)([^;]*)/g,
    )) {
      const plural = PLURALS[kind!];
      if (!plural) continue;
      const isStatus = method === 'updateStatus' || /^[^;]*?'status',?\s*\)/.test(rest!.split('\n')[0]!);
      found.add(`${VERBS[method!] ?? method} ${plural}${isStatus ? '/status' : ''}`);
    }
    if (/createEventRecorder\(|manager\.events\(/.test(text))
      for (const verb of ['create', 'patch']) found.add(`${verb} events`);
    for (const [, kind] of text.matchAll(/patchStatus\(\s*\w+,\s*(\w+)/g))
      if (PLURALS[kind!]) found.add(`patch ${PLURALS[kind!]}/status`);
    for (const [, kind] of text.matchAll(/(?:informer|\.for|\.owns|\.watches)\(\s*(\w+)/g)) {
      if (PLURALS[kind!]) for (const verb of ['list', 'watch']) found.add(`${verb} ${PLURALS[kind!]}`);
    }
  }
  return found;
}

/** What the bindings of a service account allow, over all namespaces. */
export function accessesOf(manifests: Manifest[], serviceAccount: string): Set<Access> {
  const allowed = new Set<Access>();
  for (const binding of manifests.filter(({ kind }) => kind === 'ClusterRoleBinding' || kind === 'RoleBinding')) {
    if (
      !binding.subjects.some(
        (subject: { kind: string; name: string }) =>
          subject.kind === 'ServiceAccount' && subject.name === serviceAccount,
      )
    )
      continue;
    const role = manifests.find(
      ({ kind, metadata }) =>
        kind === binding.roleRef.kind &&
        metadata.name === binding.roleRef.name &&
        (kind === 'ClusterRole' || metadata.namespace === binding.metadata.namespace),
    );
    if (!role) throw new Error(`${binding.kind} ${binding.metadata.name} names a role that is not there`);
    for (const rule of role.rules)
      for (const resource of rule.resources) for (const verb of rule.verbs) allowed.add(`${verb} ${resource}`);
  }
  return allowed;
}

function sourcesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(ROOT, folder, name));
}
