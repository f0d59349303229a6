import { expect, test } from '@jest/globals';
import type { ContainerInspect } from '../../../runtime/containerizers/docker/engine-types.ts';
import { engineNetworks, networkInfosOf } from '../../../runtime/containerizers/docker/networks.ts';

const inspect = (networks: object, ports?: object) =>
  ({ NetworkSettings: { Networks: networks, Ports: ports } }) as ContainerInspect;

test('a container in a network of the engine has the addresses that the engine tells', () => {
  const apps = {
    IPAddress: '172.20.0.2',
    GlobalIPv6Address: '',
    Gateway: '172.20.0.1',
    IPv6Gateway: '',
    MacAddress: '02:42:ac:14:00:02',
  };
  expect(networkInfosOf(inspect({ apps }))).toEqual([
    { name: 'apps', ipAddresses: ['172.20.0.2'], gateways: ['172.20.0.1'], macAddress: '02:42:ac:14:00:02' },
  ]);
  expect(networkInfosOf(inspect({ host: { IPAddress: '' } }))).toEqual([]);
  expect(networkInfosOf({} as ContainerInspect)).toEqual([]);
});

test('and the ports of the machine that lead to it', () => {
  const ports = {
    '80/tcp': [
      { HostIp: '0.0.0.0', HostPort: '31000' },
      { HostIp: '::', HostPort: '31000' },
    ],
    '53/udp': [{ HostIp: '0.0.0.0', HostPort: '31001' }],
    '9000/tcp': null,
  };
  expect(networkInfosOf(inspect({ apps: { IPAddress: '172.20.0.2' } }, ports))[0]?.portMappings).toEqual([
    { hostPort: 31000, containerPort: 80, protocol: 'TCP' },
    { hostPort: 31001, containerPort: 53, protocol: 'UDP' },
  ]);
});

test('an engine that does not answer has no networks', async () => {
  expect(await engineNetworks('/nonexistent/docker.sock')).toEqual([]);
});
