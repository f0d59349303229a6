// Jest's environment for Node, where every limit of a test or hook is as many times longer as the machine is slower (`TEPUI_TEST_SLOW`).
import { TestEnvironment } from 'jest-environment-node';
import { SLOW } from './slow.ts';

export default class Environment extends TestEnvironment {
  /** Jest calls it with each event of its runner; before the first test, with all of them. */
  handleTestEvent(event, state) {
    if (event.name !== 'run_start' || SLOW === 1) return;
    state.testTimeout *= SLOW;
    lengthen(state.rootDescribeBlock);
  }
}

/** What has no limit of its own takes the runner's. */
function lengthen(block) {
  for (const each of [...block.hooks, ...block.tests]) if (each.timeout) each.timeout *= SLOW;
  for (const child of block.children) if (child.type === 'describeBlock') lengthen(child);
}
