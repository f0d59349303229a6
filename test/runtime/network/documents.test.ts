/** The parts that only compute: configurations, versions, attachments, files, refusals. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Task, TaskNetwork } from '../../../crds/types.generated.ts';
import { planAttachments, portMappings } from '../../../runtime/network/attachments.ts';
import type { Chain } from '../../../runtime/network/cni/chain.ts';
import { parseConfiguration, readNetworkDirectory } from '../../../runtime/network/cni/configuration.ts';
import { interfaceInfo, parseResult } from '../../../runtime/network/cni/result.ts';
import { negotiateVersion } from '../../../runtime/network/cni/spec-version.ts';
import { hostsFile } from '../../../runtime/network/files/hosts.ts';
import { hostResolvConf, resolvConf } from '../../../runtime/network/files/resolv-conf.ts';
import { hostnameOf, needsFiles } from '../../../runtime/network/files/task-files.ts';
import { hostNetworkInfos } from '../../../runtime/network/host-addresses.ts';
import { networkProblems } from '../../../runtime/network/problems.ts';

function task(network: TaskNetwork, spec: Partial<Task['spec']> = {}): Task {
  return {
    metadata: { name: 'web', namespace: 'shop', uid: 'u1' },
    spec: { containers: [{ name: 'main' }], network, ...spec },
  } as Task;
}

describe('configurations', () => {
  const parse = (value: unknown) => parseConfiguration(JSON.stringify(value), '/x');

  test('a single plug-in is a list of one', () => {
    const network = parse({ cniVersion: '0.4.0', name: 'n', type: 'bridge', bridge: 'b' });
    expect(network).toMatchObject({ name: 'n', cniVersions: ['0.4.0'], plugins: [{ type: 'bridge', bridge: 'b' }] });
    expect(network.plugins[0]).not.toHaveProperty('cniVersion');
  });

  test('what cannot be used says which key', () => {
    const good = { cniVersion: '1.0.0', name: 'n', plugins: [{ type: 'bridge' }] };
    expect(() => parse([])).toThrow('not a JSON object');
    expect(() => parse({ ...good, name: '../x' })).toThrow('name:');
    expect(() => parse({ ...good, cniVersion: '0.2.0' })).toThrow(
      'cniVersion: needs one of 1.1.0, 1.0.0, 0.4.0, 0.3.1, 0.3.0, not 0.2.0',
    );
    expect(() => parse({ ...good, cniVersion: undefined })).toThrow('cniVersion: needs');
    expect(() => parse({ ...good, plugins: [] })).toThrow('plugins: needs at least one');
    expect(() => parse({ ...good, plugins: [{ type: '../../bin/sh' }] })).toThrow('plugins[0].type:');
    expect(() => parse({ ...good, disableCheck: 'maybe' })).toThrow('disableCheck:');
  });

  test('files are read in order; the first of a name counts, and a broken one harms no other', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tepui-conf-'));
    const write = (file: string, value: unknown) => writeFile(join(directory, file), JSON.stringify(value));
    await write('20.conf', { cniVersion: '1.0.0', name: 'a', type: 'second' });
    await write('10.conflist', { cniVersion: '1.0.0', name: 'a', plugins: [{ type: 'first' }] });
    await write('30.json', { name: 'b' });
    await write('40.txt', { cniVersion: '1.0.0', name: 'c', type: 'ignored' });
    const { networks, problems } = await readNetworkDirectory(directory);
    await rm(directory, { recursive: true });
    expect([...networks.values()].map(({ name, plugins }) => [name, plugins[0]?.type])).toEqual([['a', 'first']]);
    expect(problems.map(({ path }) => path)).toEqual([join(directory, '20.conf'), join(directory, '30.json')]);
    expect(await readNetworkDirectory(directory)).toEqual({ networks: new Map(), problems: [] });
  });

  test('the newest version that all speak is used', () => {
    expect(negotiateVersion(['1.0.0', '1.1.0'], [['0.4.0', '1.0.0', '1.1.0'], ['1.0.0']])).toBe('1.0.0');
    expect(negotiateVersion(['0.3.1'], [['0.3.0', '0.3.1']])).toBe('0.3.1');
    expect(negotiateVersion(['1.1.0'], [['1.0.0']])).toBeUndefined();
    expect(negotiateVersion(['9.0.0'], [['9.0.0']])).toBeUndefined();
  });
});

describe('results', () => {
  test("an answer in another version is put into the network's", () => {
    expect(parseResult({ cniVersion: '1.0.0', ips: [{ address: 'fd00::2/64' }] }, '0.4.0').ips).toEqual([
      { version: '6', address: 'fd00::2/64' },
    ]);
    expect(parseResult({ cniVersion: '0.4.0', ips: [{ version: '4', address: '10.0.0.2/24' }] }, '1.0.0')).toEqual({
      cniVersion: '1.0.0',
      ips: [{ address: '10.0.0.2/24' }],
    });
    expect(() => parseResult({ ips: 'none' }, '1.0.0')).toThrow('"ips" is no list');
  });

  test('only the interface in the container counts', () => {
    const result = {
      interfaces: [
        { name: 'eth0', mac: 'aa' },
        { name: 'eth0', mac: 'bb', sandbox: '/ns' },
      ],
      ips: [
        { address: '10.0.0.2/24', gateway: '10.0.0.1', interface: 1 },
        { address: '10.0.0.3/24', gateway: '10.0.0.1', interface: 1 },
        { address: '192.168.0.1/24', interface: 0 },
      ],
    };
    expect(interfaceInfo(result, 'eth0')).toEqual({
      addresses: ['10.0.0.2', '10.0.0.3'],
      gateways: ['10.0.0.1'],
      mac: 'bb',
    });
  });
});

describe('attachments', () => {
  const chain = (name: string, ...capabilities: string[]): Chain => ({
    name,
    cniVersion: '1.0.0',
    disableCheck: false,
    disableGc: false,
    plugins: [{ type: 'x', capabilities: Object.fromEntries(capabilities.map((key) => [key, true])) }],
  });
  const ports = (hostPort: number) => ({
    containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 80, hostPort }] }],
  });

  test('ports are mapped once, on the first network that can', () => {
    const networks = [{ name: 'plain' }, { name: 'one' }, { name: 'two' }];
    const chains = [chain('plain'), chain('one', 'portMappings'), chain('two', 'portMappings')];
    const planned = planAttachments(task({ mode: 'Cni', networks }, ports(31000)), 'id', chains);
    expect(planned.map(({ capabilities }) => capabilities.portMappings)).toEqual([
      undefined,
      [{ hostPort: 31000, containerPort: 80, protocol: 'tcp' }],
      undefined,
    ]);
    expect(planned[0]!.args).toBe('IgnoreUnknown=1;TEPUI_NAMESPACE=shop;TEPUI_TASK_NAME=web;TEPUI_TASK_UID=u1');
  });

  test('what no plug-in does is refused by field, but an allocated port may go unused', () => {
    const networks = [{ name: 'plain' }];
    expect(() => planAttachments(task({ mode: 'Cni', networks }, ports(31000)), 'id', [chain('plain')])).toThrow(
      'host port 31000 of "main" cannot be mapped',
    );
    expect(planAttachments(task({ mode: 'Cni', networks }, ports(0)), 'id', [chain('plain')])).toHaveLength(1);
    const asking = task({ mode: 'Cni', networks: [{ name: 'plain', ipAddresses: ['10.0.0.9'] }] });
    expect(() => planAttachments(asking, 'id', [chain('plain')])).toThrow(
      'spec.network.networks[0].ipAddresses: network "plain" cannot',
    );
  });

  test('a mapping takes the bound port, and the same number in the container when none is given', () => {
    const containers = [
      { name: 'main', ports: [{ name: 'a' }, { name: 'b', containerPort: 53, protocol: 'UDP' as const }] },
    ];
    const hostPorts = [
      { container: 'main', name: 'a', hostPort: 31001 },
      { container: 'main', name: 'b', hostPort: 31002 },
    ];
    expect(portMappings(task({}, { containers, binding: { agentName: 'x', hostPorts } }))).toEqual([
      { hostPort: 31001, containerPort: 31001, protocol: 'tcp' },
      { hostPort: 31002, containerPort: 53, protocol: 'udp' },
    ]);
    expect(portMappings(task({}, { containers }))).toEqual([]);
  });
});

describe('files', () => {
  test("hosts: loopback, the task, aliases; with the host's network its own file first", () => {
    expect(
      hostsFile({
        hostname: 'web',
        addresses: ['10.0.0.5', 'fd00::5'],
        aliases: [{ ip: '10.0.0.9', hostnames: ['db', 'db.shop'] }],
      }),
    ).toBe(
      '# Made by Tepui for this task.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.5\tweb\nfd00::5\tweb\n10.0.0.9\tdb db.shop\n',
    );
    expect(hostsFile({ hostname: 'web', addresses: [], aliases: [] })).toContain('\n127.0.1.1\tweb\n');
    expect(
      hostsFile({
        hostFile: '127.0.0.1 localhost\n10.1.1.1 node',
        hostname: 'node',
        addresses: ['10.1.1.1'],
        aliases: [],
      }),
    ).toBe('# Made by Tepui for this task.\n127.0.0.1 localhost\n10.1.1.1 node\n');
  });

  test('resolv.conf: the document before the network before the agent', () => {
    const host = 'nameserver 192.168.1.1\nsearch lan\noptions edns0\n';
    const networks = [{}, { nameservers: ['10.0.0.2'], domain: 'cluster', search: ['svc.cluster'] }];
    const lines = (text: string) => text.split('\n').slice(1, -1);
    expect(lines(resolvConf({ document: undefined, networks: [], host }))).toEqual([
      'nameserver 192.168.1.1',
      'search lan',
      'options edns0',
    ]);
    expect(lines(resolvConf({ document: undefined, networks, host }))).toEqual([
      'nameserver 10.0.0.2',
      'search cluster svc.cluster',
    ]);
    expect(lines(resolvConf({ document: { search: ['shop'] }, networks, host }))).toEqual([
      'nameserver 10.0.0.2',
      'search shop',
    ]);
    expect(lines(resolvConf({ document: { nameservers: ['1.1.1.1'], options: ['ndots:2'] }, networks, host }))).toEqual(
      ['nameserver 1.1.1.1', 'options ndots:2'],
    );
    expect(resolvConf({ document: undefined, networks: [], host: '' })).toContain('# No name server is known');
  });

  test("a stub resolver on the host's loopback is seen through, or left out", async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tepui-resolv-'));
    const [path, behindStub] = [join(directory, 'stub'), join(directory, 'real')];
    await writeFile(path, 'nameserver 127.0.0.53\nsearch lan\n');
    expect(await hostResolvConf(true, { path, behindStub })).toBe('search lan\n');
    expect(await hostResolvConf(false, { path, behindStub })).toContain('127.0.0.53');
    await writeFile(behindStub, 'nameserver 192.168.1.1\nsearch lan\n');
    expect(await hostResolvConf(true, { path, behindStub })).toBe('nameserver 192.168.1.1\nsearch lan\n');
    await writeFile(path, 'nameserver ::1\nnameserver 9.9.9.9\n');
    expect(await hostResolvConf(true, { path, behindStub })).toBe('nameserver 9.9.9.9\n');
    await rm(directory, { recursive: true });
  });

  test("a task without wishes needs no files; the host name is the agent's only with its network", () => {
    expect(needsFiles(task({ mode: 'Host' }))).toBe(false);
    expect(needsFiles(task({ mode: 'None', hostname: 'x' }))).toBe(true);
    expect(needsFiles(task({ dns: { search: ['x'] } }))).toBe(true);
    expect(hostnameOf(task({ mode: 'Cni' }))).toBe('web');
    expect(hostnameOf(task({ mode: 'Host', hostname: 'own' }))).toBe('own');
  });
});

test("a task with host networking has the agent's addresses, IPv4 first, without loopback and link-local ones", () => {
  const address = (address: string, family: 'IPv4' | 'IPv6', internal = false) => ({
    address,
    family,
    internal,
    netmask: '',
    mac: '',
    cidr: null,
    scopeid: 0,
  });
  const interfaces = {
    lo: [address('127.0.0.1', 'IPv4', true)],
    eth0: [address('2001:db8::1', 'IPv6'), address('fe80::1', 'IPv6'), address('192.0.2.1', 'IPv4')],
  };
  expect(hostNetworkInfos(interfaces as Parameters<typeof hostNetworkInfos>[0])).toEqual([
    { ipAddresses: ['192.0.2.1', '2001:db8::1'] },
  ]);
});

test('what would end up wrong in a file or a plug-in is refused by field', () => {
  const problems = networkProblems(
    task({
      mode: 'Cni',
      networks: [
        { name: 'a', interfaceName: 'eth1' },
        { name: 'b' },
        { name: 'c', interfaceName: 'lo', ipAddresses: ['10.0.0.1/33', 'fd00::1/64'] },
      ],
      hostAliases: [{ ip: '10.0.0', hostnames: ['ok', 'a\n10.0.0.1 evil'] }],
      dns: { nameservers: ['dns.example'], search: ['a b'], options: ['ndots:2', 'x y'] },
    }),
  );
  expect(problems).toEqual([
    'spec.network.networks[1].interfaceName: "eth1" is the name of an earlier interface',
    'spec.network.networks[2].interfaceName: "lo" cannot be used',
    'spec.network.networks[2].ipAddresses[0]: "10.0.0.1/33" is no IP address',
    'spec.network.hostAliases[0].ip: "10.0.0" is no IP address',
    'spec.network.hostAliases[0].hostnames[1]: "a\n10.0.0.1 evil" is no host name',
    'spec.network.dns.nameservers[0]: "dns.example" is no IP address',
    'spec.network.dns.search[0]: "a b" is no domain',
    'spec.network.dns.options[1]: "x y" is no single word',
  ]);
  expect(networkProblems(task({}))).toEqual([]);
});
