import type { Command } from 'commander';
import { readManifests } from '../../controllers/gitops/documents.ts';
import { CliError, EXIT_CODES } from '../exit-codes.ts';

/** `tepui validate -f PATH...`: checks manifests against the schemas and rules of the five kinds, without any server. */
export function addValidateCommand(program: Command): void {
  program
    .command('validate')
    .description('check manifests without a server')
    .requiredOption('-f, --filename <path...>', 'files or directories of manifests')
    .option('-q, --quiet', 'print only what is wrong')
    .action(async (options: { filename: string[]; quiet?: boolean }) => {
      let invalid = 0;
      for (const path of options.filename) invalid += await validatePath(path, options.quiet === true);
      if (invalid > 0)
        throw new CliError(`${invalid} ${invalid === 1 ? 'problem' : 'problems'} found`, EXIT_CODES.invalid.code);
    });
}

async function validatePath(path: string, quiet: boolean): Promise<number> {
  const { validateDocument } = await import('../../crds/validate.ts');
  const { metadataProblems } = await import('../../apiserver/resources/metadata.ts');
  const { documents, errors } = await readManifests(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new CliError(`-f: ${path} does not exist`, EXIT_CODES.usage.code);
  });
  let invalid = errors.length;
  for (const error of errors) process.stdout.write(`${error.place}: ${error.message}\n`);
  for (const { source, object } of documents) {
    const name = `${object.kind.toLowerCase()}/${object.metadata.name}`;
    if (!object.apiVersion.startsWith('tepui.dev/')) {
      if (!quiet)
        process.stdout.write(`${source}: ${name} skipped: ${object.apiVersion} is checked by the server only\n`);
      continue;
    }
    const problems = [
      ...metadataProblems({ ...object.metadata }),
      ...validateDocument(object).errors.map(({ message }) => message),
    ];
    invalid += problems.length;
    for (const problem of problems) process.stdout.write(`${source}: ${name}: ${problem}\n`);
    if (problems.length === 0 && !quiet) process.stdout.write(`${source}: ${name} is valid\n`);
  }
  return invalid;
}
