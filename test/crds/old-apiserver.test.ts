/** Kubernetes 1.20 knows neither rules nor selectable fields; it must take our CRDs all the same. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadCrds } from '../../crds/load.ts';
import { type RealApiServer, startRealApiServer, whyNoRealApiServer } from './real-apiserver.ts';

const reason = whyNoRealApiServer('full');
if (reason) console.warn(`skipped: no genuine API server 1.20: ${reason}`);

(reason ? describe.skip : describe)('a genuine API server of 2020 (v1.20)', () => {
  let server: RealApiServer;
  beforeAll(async () => {
    server = await startRealApiServer('full');
  }, 120_000);
  afterAll(async () => {
    await server?.stop();
  }, 60_000);

  test('accepts the CRDs and drops what it does not know', async () => {
    for (const crd of loadCrds()) {
      const answer = await server.request('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
      expect({ name: crd.metadata.name, status: answer.status }).toEqual({ name: crd.metadata.name, status: 201 });
      expect(JSON.stringify(answer.body)).not.toMatch(/x-kubernetes-validations|selectableFields/);
    }
  });
});
