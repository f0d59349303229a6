#!/usr/bin/env node
/** The entry; the script `tepui` starts it with the right Node and its settings. */
import { outputTaken, watchReaders } from './output.ts';
import { runProgram } from './program.ts';

watchReaders();
await runProgram(process.argv);
await outputTaken();
// A finished command must not be held open by a keep-alive connection.
process.exit();
