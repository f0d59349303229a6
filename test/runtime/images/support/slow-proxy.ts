/** A TCP proxy in front of a registry that counts requests, slows bytes down and cuts connections. */
import { connect, createServer, type Socket } from 'node:net';

export interface TestProxy {
  /** `127.0.0.1:PORT`. */
  host: string;
  /** Request lines seen, such as `GET /v2/...`. */
  requests: string[];
  /** Cuts each connection after so many bytes of answers, so many times; then lets all through. */
  cutAfter(bytes: number, times: number): void;
  /** Bytes per second of each connection; 0: nothing comes through any more; undefined: as fast as it goes. */
  throttle(bytesPerSecond: number | undefined): void;
  close(): Promise<void>;
}

export async function startProxy(targetHost: string): Promise<TestProxy> {
  const [host, port] = targetHost.split(':') as [string, string];
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  let cut = { bytes: Number.POSITIVE_INFINITY, times: 0 };
  let rate: number | undefined;
  const server = createServer((client) => {
    const upstream = connect(Number(port), host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket);
          // Whoever stands still does not even hang up.
          if (rate === 0 && socket === upstream) return;
          client.destroy();
          upstream.destroy();
        });
    }
    client.on('data', (bytes) => {
      for (const [line] of bytes.toString('latin1').matchAll(/^(GET|HEAD|POST) \S+/gm)) requests.push(line);
      upstream.write(bytes);
    });
    let passed = 0;
    upstream.on('data', (bytes: Buffer) => {
      if (rate === 0) return;
      passed += bytes.length;
      if (cut.times > 0 && passed > cut.bytes) {
        cut.times--;
        // A part of it still gets through, as on a line that breaks.
        client.write(bytes.subarray(0, Math.max(0, bytes.length - (passed - cut.bytes))), () =>
          client.resetAndDestroy(),
        );
        return;
      }
      client.write(bytes);
      if (rate === undefined) return;
      upstream.pause();
      setTimeout(() => upstream.resume(), (bytes.length / rate) * 1000);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as { port: number }).port}`,
    requests,
    cutAfter(bytes, times) {
      cut = { bytes, times };
    },
    throttle(bytesPerSecond) {
      rate = bytesPerSecond;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
