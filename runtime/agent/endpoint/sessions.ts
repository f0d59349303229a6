/** What each WebSocket route begins. The query and the container are looked at before the WebSocket is accepted, so that a refusal is an HTTP status. */
import type { WebSocket } from 'ws';
import { parseAttachQuery, parseExecQuery } from './exec.ts';
import { parsePort, refuseForward, serveForward } from './port-forward.ts';
import type { SessionRoute } from './routes.ts';
import { refuseSession, serveSession } from './session.ts';
import { runningContainer, type TasksSource } from './tasks-source.ts';

/** Throws BadQuery or NotHere. */
export function prepareSession(
  tasks: TasksSource,
  route: SessionRoute,
  query: URLSearchParams,
): (client: WebSocket) => void {
  const { containerId } = runningContainer(tasks, route.task, query.get('container'));
  switch (route.kind) {
    case 'exec': {
      const request = parseExecQuery(query);
      return (client) => run(tasks.exec({ containerId, ...request }), client, serveSession, refuseSession);
    }
    case 'attach': {
      const { stdin, ...request } = parseAttachQuery(query);
      const session = () => tasks.attach({ containerId, ...request });
      return (client) =>
        run(
          session(),
          client,
          (socket, found) => serveSession(socket, stdin ? found : withoutInput(found)),
          refuseSession,
        );
    }
    case 'portforward': {
      const port = parsePort(query);
      return (client) => run(tasks.dial(containerId, port), client, serveForward, refuseForward);
    }
  }
}

function withoutInput<T extends { stdin?: unknown; closeStdin?: unknown }>(session: T): T {
  return { ...session, stdin: undefined, closeStdin: () => {} };
}

function run<T>(
  begun: Promise<T>,
  client: WebSocket,
  serve: (client: WebSocket, session: T) => Promise<void>,
  refuse: (client: WebSocket, error: unknown) => void,
): void {
  begun.then(
    (session) => serve(client, session),
    (error: unknown) => refuse(client, error),
  );
}
