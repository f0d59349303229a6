import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadCrds } from '../../crds/load.ts';
import { type RealApiServer, startRealApiServer, whyNoRealApiServer } from '../crds/real-apiserver.ts';
import { accessesIn, accessesOf } from './access.ts';
import { kustomize, type Manifest, ROOT, whyNoKustomize } from './kustomize.ts';

const reason = whyNoKustomize();
if (reason) console.warn(`skipped: ${reason}`);

(reason ? describe.skip : describe)('manifests/deploy', () => {
  const manifests = reason ? [] : kustomize('manifests/deploy');
  const one = (kind: string, name: string) =>
    manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name)!;

  test('installs the CRDs as they are shipped', () => {
    const crds = manifests.filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(crds.map(({ metadata }) => metadata.name).sort()).toEqual(
      loadCrds()
        .map(({ metadata }) => metadata.name)
        .sort(),
    );
    for (const crd of loadCrds()) expect(one('CustomResourceDefinition', crd.metadata.name).spec).toEqual(crd.spec);
  });

  test('uses the image of this version', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    for (const workload of [one('Deployment', 'tepui-controller'), one('DaemonSet', 'tepui-agent')]) {
      expect(workload.spec.template.spec.containers.map(({ image }: { image: string }) => image)).toEqual([
        `tepui:${version}`,
      ]);
    }
  });

  test('runs two controllers of which one leads, with probes and without privileges', () => {
    const { spec } = one('Deployment', 'tepui-controller');
    expect(spec.replicas).toBe(2);
    const [container] = spec.template.spec.containers;
    expect(container.args).toContain('--leader-elect');
    expect(container).toMatchObject({
      livenessProbe: { httpGet: { path: '/healthz' } },
      readinessProbe: { httpGet: { path: '/readyz' } },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    });
    expect(spec.template.spec.securityContext).toMatchObject({ runAsNonRoot: true });
  });

  test('runs a privileged agent per node with the paths of the machine', () => {
    const { spec } = one('DaemonSet', 'tepui-agent').spec.template;
    expect(spec).toMatchObject({ hostPID: true, hostNetwork: true });
    expect(spec.containers[0].securityContext.privileged).toBe(true);
    const paths = spec.volumes.map(({ hostPath }: { hostPath: { path: string } }) => hostPath.path);
    expect(paths).toEqual(['/sys/fs/cgroup', '/run/tepui', '/var/lib/tepui']);
    expect(spec.containers[0].volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath)).toEqual(paths);
  });

  test('names no verb, resource or group by a wildcard', () => {
    for (const role of manifests.filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role')) {
      expect(JSON.stringify(role.rules)).not.toContain('"*"');
      for (const rule of role.rules) expect(rule.verbs.length).toBeGreaterThan(0);
    }
  });

  test('lets nobody but people write what people write', () => {
    for (const account of ['tepui-controller', 'tepui-agent']) {
      const allowed = accessesOf(manifests, account);
      for (const access of [
        'create frameworks',
        'update frameworks',
        'patch frameworks',
        'create frameworkroles',
        'update frameworkroles',
        'patch frameworkroles',
        'delete agents',
      ]) {
        expect({ account, access, allowed: allowed.has(access) }).toEqual({ account, access, allowed: false });
      }
    }
  });

  test.each([
    // Written in places that name no kind: finalizers.ts (patch), the watcher (get, list, watch), leader-election.ts, the event sink.
    {
      account: 'tepui-controller',
      folders: [
        'controllers/agent',
        'controllers/framework',
        'controllers/scheduler',
        'controllers/task',
        'controllers/volume',
        'controllers/machinery',
      ],
    },
    { account: 'tepui-agent', folders: ['runtime'] },
  ])('$account may make every call that is found in $folders', ({ account, folders }) => {
    const allowed = accessesOf(manifests, account);
    const optional = ['create namespaces']; // The namespace is there already; the embedded server's agent makes it.
    const missing = [...accessesIn(folders)].filter((access) => !allowed.has(access) && !optional.includes(access));
    expect(missing).toEqual([]);
  });

  test('gives people roles that add up to view, edit and admin', () => {
    const users = manifests.filter(
      ({ kind, metadata }) =>
        kind === 'ClusterRole' && Object.keys(metadata.labels ?? {}).some((key) => key.includes('aggregate-to')),
    );
    expect(users.map(({ metadata }) => metadata.name).sort()).toEqual(['tepui-edit', 'tepui-view']);
  });

  describeOnGenuineServer(manifests);
});

function describeOnGenuineServer(manifests: Manifest[]): void {
  const unavailable = whyNoRealApiServer('full');
  if (unavailable) console.warn(`skipped: no genuine API server: ${unavailable}`);
  (unavailable ? describe.skip : describe)('on a genuine API server', () => {
    let server: RealApiServer;
    beforeAll(async () => {
      server = await startRealApiServer('full', '--allow-privileged=true');
    }, 120_000);
    afterAll(async () => {
      await server?.stop();
    }, 60_000);

    test('is accepted, each document', async () => {
      for (const manifest of manifests) {
        // policy/v1 came with 1.21; this server is 1.20.
        if (manifest.kind === 'PodDisruptionBudget') continue;
        const answer = await server.request('POST', collectionOf(manifest), manifest);
        expect({
          kind: manifest.kind,
          name: manifest.metadata.name,
          message: answer.status < 300 ? '' : answer.body.message,
        }).toEqual({ kind: manifest.kind, name: manifest.metadata.name, message: '' });
      }
    });
  });
}

function collectionOf({ apiVersion, kind, metadata }: Manifest): string {
  const prefix = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${prefix}/${metadata.namespace ? `namespaces/${metadata.namespace}/` : ''}${kind.toLowerCase()}s`;
}
