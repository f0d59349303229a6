import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type ConnectionOptions, kubeconfigPath, withConnection } from '../connection.ts';

/** `tepui kubeconfig`: prints the kubeconfig (it holds a credential), or only its path with --path. */
export function addKubeconfigCommand(program: Command): void {
  withConnection(
    program.command('kubeconfig').description('print the kubeconfig that commands use (it holds a credential)'),
  )
    .option('--path', 'print only where it is')
    .action(async (options: ConnectionOptions & { path?: boolean }) => {
      const path = kubeconfigPath(options) ?? process.env.KUBECONFIG?.split(':')[0] ?? '';
      process.stdout.write(options.path ? `${path}\n` : await readFile(path, 'utf8'));
    });
}
