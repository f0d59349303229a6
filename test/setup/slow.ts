/**
 * How many times slower than usual this machine is expected to be, in what tests wait for: 1, and more in an emulated machine (`TEPUI_TEST_SLOW`). The limits
 * of tests and hooks are as many times longer by themselves (`environment.mjs`).
 */
export const SLOW = Number(process.env.TEPUI_TEST_SLOW ?? 1);
