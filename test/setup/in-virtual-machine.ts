/** Runs inside the virtual machine: Jest on the folders named, slower clock, result as one line. */
import { runJest } from './jest.ts';

const outcome = await runJest(process.argv.slice(2), ['--runInBand', '--testTimeout=300000'], {
  TEPUI_TEST_SLOW: '10',
});
process.stdout.write(`OUTCOME ${JSON.stringify(outcome)}\n`);
process.exit(0);
