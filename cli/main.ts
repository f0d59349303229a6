#!/usr/bin/env node
/** The entry; the script `tepui` starts it with the right Node and its settings. */
import { runProgram } from './program.ts';

await runProgram(process.argv);
// A finished command must not be held open by a keep-alive connection.
process.exit();
