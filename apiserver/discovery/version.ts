import { readFileSync } from 'node:fs';

/** The Kubernetes minor version whose API behaviour this server follows. Clients warn when theirs differs by more than one. */
const minor = 33;

const packageVersion = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

/** The body of `/version`. Tools compare `major`, `minor` and `gitVersion` with the Kubernetes versions they know. */
export const versionInfo = {
  major: '1',
  minor: String(minor),
  gitVersion: `v1.${minor}.0+tepui-${packageVersion}`,
  gitCommit: '',
  gitTreeState: 'archive',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: `node ${process.version}`,
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
} as const;
