import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { crds, startTestServer, type TestServer, widget, widgetCrd, widgets } from '../server-fixture.ts';

let api: TestServer;

beforeAll(async () => {
  api = await startTestServer();
  await api.call('POST', crds, widgetCrd);
  await api.call('POST', widgets, widget('there'));
});

afterAll(() => api.close());

const json = { 'content-type': 'application/json' };
const merge = { 'content-type': 'application/merge-patch+json' };
const jsonPatch = { 'content-type': 'application/json-patch+json' };
const twice = JSON.stringify(widget('twice', { color: 'red' })).replace('"red"', '"red","color":"blue"');
const problem = 'duplicate field "spec.color"';
/** As it stands in the header. */
const warning = '299 - "duplicate field \\"spec.color\\""';

describe('an object with a field twice', () => {
  const path = `${widgets}?dryRun=All&fieldValidation=`;

  test('is refused by Strict', async () => {
    const { status, body } = await api.call('POST', `${path}Strict`, twice, json);
    expect(status).toBe(400);
    expect(body.message).toBe(
      `Widget in version "v1" cannot be handled as a Widget: strict decoding error: ${problem}`,
    );
  });

  test.each(['Warn', ''])('is warned of by %j, and the last one counts', async (validation) => {
    const { status, headers, body } = await api.call('POST', path + validation, twice, json);
    expect(status).toBe(201);
    expect(headers.warning).toBe(warning);
    expect(body.spec.color).toBe('blue');
  });

  test('passes with Ignore', async () => {
    const { status, headers } = await api.call('POST', `${path}Ignore`, twice, json);
    expect(status).toBe(201);
    expect(headers.warning).toBeUndefined();
  });

  test('is refused in an update too', async () => {
    const { status } = await api.call('PUT', `${widgets}/twice?fieldValidation=Strict`, twice, json);
    expect(status).toBe(400);
  });
});

describe('a patch with a field twice', () => {
  const path = `${widgets}/there?dryRun=All&fieldValidation=`;
  const patch = '{"spec":{"color":"red","color":"blue"}}';

  test('is refused by Strict as the genuine server does', async () => {
    const { status, body } = await api.call('PATCH', `${path}Strict`, patch, merge);
    expect(status).toBe(422);
    expect(body.details.causes).toEqual([
      {
        reason: 'FieldValueInvalid',
        field: 'patch',
        message: `Invalid value: ${JSON.stringify(patch)}: strict decoding error: ${problem}`,
      },
    ]);
  });

  test('is warned of by Warn', async () => {
    const { status, headers } = await api.call('PATCH', `${path}Warn`, patch, merge);
    expect(status).toBe(200);
    expect(headers.warning).toBe(warning);
  });

  test('of JSON patch operations names the operation', async () => {
    const operations = '[{"op":"add","path":"/spec/color","path":"/spec/color","value":"x"}]';
    const { headers } = await api.call('PATCH', `${path}Warn`, operations, jsonPatch);
    expect(headers.warning).toBe('299 - "json patch duplicate field \\"[0].path\\""');
  });
});
