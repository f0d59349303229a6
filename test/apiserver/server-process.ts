/** The API server as a process of its own, to be killed. Prints its URL when it is ready. */
import { pino } from 'pino';
import { startApiServer } from '../../apiserver/server.ts';

const server = await startApiServer({ dataDir: process.argv[2]!, logger: pino({ level: 'silent' }) });
console.log(server.url);
process.on('SIGTERM', () => void server.close().then(() => process.exit(0)));
