import { expect, test } from '@jest/globals';
import { checkHost } from '../../../runtime/containerizers/native/host-check.ts';

test.each([
  [{ uid: 1000 }, 'containers need root: the agent runs as user 1000'],
  [{ uid: 0, kernel: '5.10.0-33-amd64' }, 'containers need Linux 5.12 or newer, this is 5.10.0-33-amd64'],
  [{ uid: 0, kernel: '4.19.0' }, 'containers need Linux 5.12 or newer'],
  [{ uid: 0, platform: 'darwin' as const }, 'containers need Linux, this is darwin'],
])('a host like %j is refused with a sentence', (host, message) => {
  expect(() => checkHost(host)).toThrow(message);
});

test.each(['5.12.0', '6.1.0-18-amd64', '6.18.44-fc', '10.0'])('Linux %s will do', (kernel) => {
  expect(() => checkHost({ uid: 0, kernel, platform: 'linux' })).not.toThrow();
});
