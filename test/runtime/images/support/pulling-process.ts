/** A process that pulls an image, to be killed: `pulling-process.ts <store> <registriesFile> <launcher> <reference>`. Says what it does in lines. */
import { pino } from 'pino';
import { openImages } from '../../../../runtime/images/index.ts';

const [directory, registriesFile, binary, reference] = process.argv.slice(2) as [string, string, string, string];
const images = await openImages({
  directory,
  registriesFile,
  binary,
  bootId: 'this-boot',
  logger: pino({ level: 'silent' }),
});
process.stdout.write('opened\n');
const image = await images.provision({
  reference,
  holder: 'h',
  onProgress: ({ phase, doneBytes }) => process.stdout.write(`${phase} ${doneBytes}\n`),
});
process.stdout.write(`done ${image.layers.length}\n`);
await images.close();
