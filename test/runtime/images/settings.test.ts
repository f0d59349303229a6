/** What operators and users write: registries.yaml, logins, pull secrets. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { credentialsOfSecret, parseDockerConfig } from '../../../runtime/images/index.ts';
import { parseChallenges } from '../../../runtime/images/registry/authorization.ts';
import { findCredentials } from '../../../runtime/images/registry/credentials.ts';
import { findRegistry, parseRegistries, readRegistries } from '../../../runtime/images/registry/settings.ts';

describe('registries.yaml', () => {
  let directory: string;
  let file: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tepui-registries-'));
    file = join(directory, 'registries.yaml');
    writeFileSync(join(directory, 'ca.pem'), '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n');
    writeFileSync(join(directory, 'no.pem'), 'x');
    writeFileSync(join(directory, 'logins.json'), '{"auths":{"a.example":{"username":"u","password":"p"}}}');
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('need not exist, and may be empty', async () => {
    const empty = { defaultRegistry: 'docker.io', credentials: [], excludedImages: [], registries: [] };
    await expect(readRegistries(join(directory, 'none'))).resolves.toEqual(empty);
    await expect(parseRegistries('', file)).resolves.toEqual(empty);
  });

  test('is read with the files that it names, beside it', async () => {
    const settings = await parseRegistries(
      `
defaultRegistry: Hub.Example
credentialsFile: logins.json
excludedImages: [a:1]
registries:
  - prefix: hub.example/team
    location: other.example/x
    caFile: ca.pem
    mirrors: [{ location: "mirror:5000/hub", plainHttp: true }]
  - { prefix: hub.example, blocked: true }
`,
      file,
    );
    expect(settings.defaultRegistry).toBe('hub.example');
    expect(settings.credentials[0]?.entries).toEqual([{ prefix: 'a.example', username: 'u', password: 'p' }]);
    expect(findRegistry(settings, 'hub.example/team/app')).toMatchObject({
      location: 'other.example/x',
      plainHttp: false,
      ca: expect.stringContaining('BEGIN CERTIFICATE'),
      mirrors: [{ location: 'mirror:5000/hub', plainHttp: true }],
    });
    expect(findRegistry(settings, 'hub.example/teams/app')).toMatchObject({ blocked: true, location: 'hub.example' });
    expect(findRegistry(settings, 'hub.example.org/team')).toBeUndefined();
  });

  test.each([
    ['registries: {}', 'registries: it is no list'],
    ['- a', 'registries.yaml: it is no map'],
    ['registry: []', 'registry: there is no such field; known are'],
    ['registries: [{}]', 'registries[0].prefix: it is missing'],
    ['registries: [{ prefix: "https://a" }]', 'registries[0].prefix: "https://a" is no host'],
    ['registries: [{ prefix: a, plainHttp: "yes" }]', 'registries[0].plainHttp: it is neither true nor false'],
    [
      'registries: [{ prefix: a, plainHttp: true, caFile: ca.pem }]',
      'registries[0].caFile: it has no meaning with plainHttp',
    ],
    ['registries: [{ prefix: a, caFile: no.pem }]', 'registries[0].caFile: no.pem holds no PEM certificate'],
    ['registries: [{ prefix: a, caFile: none.pem }]', 'registries[0].caFile: it cannot be read'],
    ['registries: [{ prefix: a, mirrors: [{}] }]', 'registries[0].mirrors[0].location: it is missing'],
    [
      'registries: [{ prefix: a, mirrors: [{ location: b, blocked: true }] }]',
      'registries[0].mirrors[0].blocked: there is no such field',
    ],
    ['credentialsFile: no.pem', 'no.pem: it is not JSON'],
    ['excludedImages: [1]', 'excludedImages[0]: it is no text'],
    ['a: [', 'is no YAML'],
  ])('%s is refused: %s', async (text, problem) => {
    await expect(parseRegistries(text, file)).rejects.toThrow(problem);
  });
});

describe('logins', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  test('are read from a config.json with keys of all ages', () => {
    const { entries } = parseDockerConfig(
      JSON.stringify({
        auths: {
          'https://index.docker.io/v1/': { auth: encode('me:p:w') },
          'a.example:5000/team': { username: 'u', password: '' },
          'b.example': { identitytoken: 'refresh' },
        },
      }),
      'test',
    );
    expect(entries).toEqual([
      { prefix: 'docker.io', username: 'me', password: 'p:w' },
      { prefix: 'a.example:5000/team', username: 'u', password: '' },
      { prefix: 'b.example', username: '', password: '', identityToken: 'refresh' },
    ]);
  });

  test.each([
    ['no', 'it is not JSON'],
    ['[]', 'it is not a JSON object'],
    ['{"credsStore":"x"}', 'credsStore: credential helper programs are not run'],
    ['{"auths":[]}', 'auths: it is not an object'],
    ['{"auths":{"a":{"auth":"c2VjcmV0"}}}', 'auths["a"].auth: it is not the base64 of "user:password"'],
    ['{"auths":{"a":{}}}', 'auths["a"]: it has neither'],
  ])('%s is refused: %s, and never told', (text, problem) => {
    expect(() => parseDockerConfig(text, 'test')).toThrow(problem);
    expect(() => parseDockerConfig(text, 'test')).not.toThrow('secret');
  });

  test('of pull secrets of both types', () => {
    const auths = { 'a.example': { auth: encode('u:p') } };
    const metadata = { namespace: 'ns', name: 'pull' };
    const entries = [{ prefix: 'a.example', username: 'u', password: 'p' }];
    const modern = { '.dockerconfigjson': encode(JSON.stringify({ auths })) };
    expect(credentialsOfSecret({ metadata, type: 'kubernetes.io/dockerconfigjson', data: modern }).entries).toEqual(
      entries,
    );
    const old = { '.dockercfg': encode(JSON.stringify(auths)) };
    expect(credentialsOfSecret({ metadata, type: 'kubernetes.io/dockercfg', data: old }).entries).toEqual(entries);
    expect(() => credentialsOfSecret({ metadata, type: 'Opaque', data: modern })).toThrow(
      'secret ns/pull: its type is Opaque',
    );
    expect(() => credentialsOfSecret({ metadata, type: 'kubernetes.io/dockerconfigjson' })).toThrow('is missing');
  });

  test('those with the longest prefix of whole parts come first, of equal ones the first', () => {
    const source = (...prefixes: string[]) => ({
      origin: 'test',
      entries: prefixes.map((prefix, index) => ({ prefix, username: `${prefix}#${index}`, password: '' })),
    });
    const found = (place: string) =>
      findCredentials(
        [source('a.example', 'a.example/team'), source('a.example/team', 'a.example/team/app')],
        place,
      ).map(({ username }) => username);
    const team = ['a.example/team#1', 'a.example/team#0', 'a.example#0'];
    expect(found('a.example/team/app')).toEqual(['a.example/team/app#1', ...team]);
    expect(found('a.example/team/other')).toEqual(team);
    expect(found('a.example/teams')).toEqual(['a.example#0']);
    expect(found('b.a.example/team')).toEqual([]);
    expect(found('a.example:5000/team')).toEqual([]);
  });
});

test('challenges are read as registries and proxies write them', () => {
  expect(parseChallenges('Bearer realm="https://auth/token",service="a, b",scope="repository:x:pull"')).toEqual([
    { scheme: 'bearer', parameters: { realm: 'https://auth/token', service: 'a, b', scope: 'repository:x:pull' } },
  ]);
  expect(parseChallenges(['Basic realm="a\\"b"', 'bearer realm=x'])).toEqual([
    { scheme: 'basic', parameters: { realm: 'a"b' } },
    { scheme: 'bearer', parameters: { realm: 'x' } },
  ]);
  expect(parseChallenges('Negotiate, Basic realm="x"').map(({ scheme }) => scheme)).toEqual(['negotiate', 'basic']);
  expect(parseChallenges(undefined)).toEqual([]);
  expect(parseChallenges('"=,;')).toEqual([]);
});
