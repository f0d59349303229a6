/** What a genuine API server says of our CRDs and of the samples: our own answers must be the same. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadCrds } from '../../crds/load.ts';
import type { FieldError } from '../../crds/structural/errors.ts';
import { validateDocument } from '../../crds/validate.ts';
import { type RealApiServer, startRealApiServer, whyNoRealApiServer } from './real-apiserver.ts';
import { samples } from './samples/samples.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const reason = whyNoRealApiServer('crd');
if (reason) console.warn(`skipped: no genuine API server: ${reason}`);

(reason ? describe.skip : describe)('a genuine API server (v1.36)', () => {
  let server: RealApiServer;

  beforeAll(async () => {
    server = await startRealApiServer('crd');
    for (const crd of loadCrds()) {
      const created = await server.request('POST', CRDS, crd);
      if (created.status !== 201) throw new Error(`${crd.metadata.name}: ${JSON.stringify(created.body.message)}`);
    }
    for (const crd of loadCrds()) await waitUntilServed(server, crd.spec.names.plural);
  }, 120_000);

  afterAll(async () => {
    await server?.stop();
  }, 60_000);

  test('accepts the five CRDs, with their CEL cost estimates, without a NonStructuralSchema condition', async () => {
    for (const crd of loadCrds()) {
      const { body } = await server.request('GET', `${CRDS}/${crd.metadata.name}`);
      const conditions = (body.status as { conditions: { type: string; status: string }[] }).conditions;
      expect(Object.fromEntries(conditions.map(({ type, status }) => [type, status]))).toEqual({
        NamesAccepted: 'True',
        Established: 'True',
      });
    }
  });

  test('keeps every field of the CRDs', async () => {
    for (const crd of loadCrds()) {
      const { body } = await server.request('GET', `${CRDS}/${crd.metadata.name}`);
      expect((body.spec as { versions: unknown }).versions).toEqual(crd.spec.versions);
    }
  });

  const created = samples.filter((sample) => !sample.old && !sample.document.status);
  test.each(created.map((sample) => [sample.what, sample] as const))(
    'says the same as we do of %s',
    async (_what, sample) => {
      const answer = await server.request('POST', `${collectionOf(sample.document)}?dryRun=All`, sample.document);
      const ours = validateDocument(sample.document);
      if (sample.errors.length === 0) expect(answer.body.spec).toEqual((ours.defaulted as { spec?: unknown }).spec);
      else expect(causesOf(answer.body)).toEqual(causesOfErrors(ours.errors));
    },
  );

  const updated = samples.filter((sample) => sample.old || sample.document.status);
  test.each(updated.map((sample) => [sample.what, sample] as const))(
    'says the same as we do of an update to %s',
    async (_what, sample) => {
      const collection = collectionOf(sample.document);
      const { status, ...withoutStatus } = sample.document;
      const name = (sample.document.metadata as { name: string }).name;
      const before = await server.request('POST', collection, sample.old ?? withoutStatus);
      try {
        expect(before.status).toBe(201);
        const { resourceVersion } = before.body.metadata as { resourceVersion: string };
        const document = { ...sample.document, metadata: { name, resourceVersion } };
        const path = `${collection}/${name}${status ? '/status' : ''}?dryRun=All`;
        const answer = await server.request('PUT', path, document);
        const ours = validateDocument(sample.document, before.body);
        if (sample.errors.length === 0) expect(answer.status).toBe(200);
        else expect(causesOf(answer.body)).toEqual(causesOfErrors(ours.errors));
      } finally {
        await server.request('DELETE', `${collection}/${name}`);
      }
    },
  );
});

const KINDS = new Map(loadCrds().map((crd) => [crd.spec.names.kind, crd]));

function collectionOf(document: Record<string, unknown>): string {
  const crd = KINDS.get(String(document.kind))!;
  const namespace = crd.spec.scope === 'Namespaced' ? 'namespaces/default/' : '';
  return `/apis/tepui.dev/v1alpha1/${namespace}${crd.spec.names.plural}`;
}

/** Causes with a dot in front come from the scale subresource, not from the schema. */
function causesOf(status: Record<string, unknown>): string[] {
  const { causes = [] } = (status.details ?? {}) as { causes?: { field: string; reason: string; message: string }[] };
  return causes
    .filter((cause) => !cause.field.startsWith('.'))
    .map((cause) => `${cause.field} ${cause.reason} ${cause.message}`)
    .sort();
}

/** Without our advice on how to write a fraction, which the genuine server does not give. */
function causesOfErrors(errors: FieldError[]): string[] {
  return errors.map((error) => `${error.path} ${error.reason} ${error.body.replace(/ \(write "[^(]*\)$/, '')}`).sort();
}

async function waitUntilServed(server: RealApiServer, plural: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await server.request('GET', `/apis/tepui.dev/v1alpha1/${plural}`)).status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${plural} is not served`);
}
