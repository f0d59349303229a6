import { existsSync, readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { writeSecretFile } from './atomic-file.ts';
import { isAdminToken, renewAdminToken } from './tokens.ts';

/** The token in an existing kubeconfig is kept while it is valid, so that copies of the file go on working; otherwise a new one is made. */
export function ensureAdminToken(kubeconfigPath: string, authDirectory: string): string {
  const token = readToken(kubeconfigPath);
  return token && isAdminToken(authDirectory, token) ? token : renewAdminToken(authDirectory);
}

/** Writes the administrator's kubeconfig, 0600 and atomically, if it is not there with this very content. */
export function ensureKubeconfig(path: string, server: { url: string; ca: string; token: string }): void {
  const { token } = server;
  const content = stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'tepui',
          cluster: { server: server.url, 'certificate-authority-data': Buffer.from(server.ca).toString('base64') },
        },
      ],
      users: [{ name: 'tepui-admin', user: { token } }],
      contexts: [{ name: 'tepui', context: { cluster: 'tepui', user: 'tepui-admin', namespace: 'default' } }],
      'current-context': 'tepui',
    },
    { lineWidth: 0 },
  );
  if (!existsSync(path) || readFileSync(path, 'utf8') !== content) writeSecretFile(path, content);
}

function readToken(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const config = parse(readFileSync(path, 'utf8')) as { users?: { user?: { token?: unknown } }[] } | null;
    const token = config?.users?.[0]?.user?.token;
    return typeof token === 'string' && token !== '' ? token : undefined;
  } catch {
    // Not YAML any more: it is written anew.
    return undefined;
  }
}
