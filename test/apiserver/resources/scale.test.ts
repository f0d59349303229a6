import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { crds, startTestServer, type TestServer, widget, widgetCrd, widgets } from '../server-fixture.ts';

let api: TestServer;

beforeAll(async () => {
  api = await startTestServer();
  await api.call('POST', crds, widgetCrd);
});

afterAll(() => api.close());

const merge = { 'content-type': 'application/merge-patch+json' };

describe('scale', () => {
  test('shows and sets the replicas', async () => {
    await api.call('POST', widgets, widget('scaled', { replicas: 3 }));
    await api.call('PATCH', `${widgets}/scaled/status`, { status: { replicas: 2, selector: 'a=b' } }, merge);
    const { body } = await api.call('GET', `${widgets}/scaled/scale`);
    expect(body).toMatchObject({
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name: 'scaled', namespace: 'default' },
      spec: { replicas: 3 },
      status: { replicas: 2, selector: 'a=b' },
    });
    const put = await api.call('PUT', `${widgets}/scaled/scale`, { ...body, spec: { replicas: 4 } });
    expect(put.body.spec.replicas).toBe(4);
    expect((await api.call('PUT', `${widgets}/scaled/scale`, { ...body, spec: { replicas: 5 } })).status).toBe(409);
    const patched = await api.call('PATCH', `${widgets}/scaled/scale`, { spec: { replicas: 6 } }, merge);
    expect(patched.body.spec.replicas).toBe(6);
    expect((await api.call('GET', `${widgets}/scaled`)).body).toMatchObject({
      spec: { replicas: 6 },
      metadata: { generation: 3 },
    });
  });

  test.each([
    [-1, 'should be a non-negative integer'],
    [3e9, 'should be less than or equal to 2147483647'],
  ])('refuses %d replicas, also through the object itself', async (replicas, rule) => {
    await api.call('POST', widgets, widget('bound', { replicas: 1 }));
    const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'bound' }, spec: { replicas } };
    const change = { spec: { replicas } };
    const answers = [
      await api.call('PUT', `${widgets}/bound/scale`, scale),
      await api.call('PATCH', `${widgets}/bound/scale`, change, merge),
      await api.call('PATCH', `${widgets}/bound`, change, merge),
      await api.call('POST', widgets, widget('bound', { replicas }, { name: 'bound-2' })),
    ];
    const message = `Invalid value: ${replicas}: ${rule}`;
    for (const { status, body } of answers) {
      expect(status).toBe(422);
      expect(body.message).toMatch(/^Widget.test.tepui.dev "bound(-2)?" is invalid: .spec.replicas: Invalid value/);
      expect(body.details).toMatchObject({
        group: 'test.tepui.dev',
        kind: 'Widget',
        causes: [{ reason: 'FieldValueInvalid', field: '.spec.replicas', message }],
      });
    }
    const status = await api.call('PATCH', `${widgets}/bound/status`, { status: { replicas } }, merge);
    expect(status.body.details.causes[0]).toMatchObject({ field: '.status.replicas' });
  });

  test('refuses replicas that are no integer', async () => {
    await api.call('POST', widgets, widget('typed', { replicas: 1 }));
    const { status } = await api.call('PATCH', `${widgets}/typed/scale`, { spec: { replicas: 'x' } }, merge);
    expect(status).toBe(400);
  });
});
