/** How GraphiQL reaches the API: fetch with the session's token, subscriptions over graphql-transport-ws at the same address. */
import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';
import { type DocumentNode, Kind, parse } from 'graphql';
import { type Client, createClient } from 'graphql-ws';

import { API_PATH, clockOffsetOf, type WireSession } from './api';
import type { SessionStore } from './session';

export function createFetcher(session: SessionStore): Fetcher {
  const wsClient = createClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${API_PATH}`,
    // Asked on every (re)connection, so a socket closed for an expired token comes back with a fresh one.
    connectionParams: async () => {
      const token = await session.token();
      return token ? { authorization: `Bearer ${token}` } : {};
    },
    // A refused connection is an error and no close: by itself graphql-ws would give up while the API restarts.
    shouldRetry: () => true,
    retryAttempts: Infinity,
  });
  const fetcher = createGraphiQLFetcher({ url: API_PATH, fetch: createAuthorisedFetch(session), wsClient: resuming(wsClient) });
  return (params, options) => {
    const documentAST = parseOrNull(params.query);
    if (!documentAST) return fetcher(params, options);
    // For a moment after a change of tab GraphiQL still holds the former tab's operation name and document. The name matters
    // beyond the server: by it the toolkit tells a subscription from the rest.
    const names = operationNames(documentAST);
    const isKnown = names.includes(params.operationName ?? '');
    return fetcher({ ...params, operationName: isKnown ? params.operationName : names[0] }, { ...options, documentAST });
  };
}

/** A subscription that takes `$after` goes on after its last item: graphql-ws writes the payload anew at a reconnection, and reads `after` then. */
function resuming(client: Client): Client {
  return {
    ...client,
    subscribe(payload, sink) {
      if (!/\$after\b/.test(payload.query)) return client.subscribe(payload, sink);
      let after = payload.variables?.after ?? null;
      const variables = { ...payload.variables, get after() { return after; } };
      return client.subscribe({ ...payload, variables }, {
        ...sink,
        next(result) {
          const [item] = Object.values(result.data ?? {}) as ({ cursor?: string } | null)[];
          after = item?.cursor ?? after;
          (sink.next as (value: unknown) => void)(result);
        },
      });
    },
  };
}

function parseOrNull(query: string): DocumentNode | null {
  try {
    return parse(query);
  } catch {
    return null; // the server says what is wrong with it
  }
}

function operationNames(document: DocumentNode): string[] {
  return document.definitions.flatMap((found) => (found.kind === Kind.OPERATION_DEFINITION && found.name ? [found.name.value] : []));
}

function createAuthorisedFetch(session: SessionStore): typeof fetch {
  return async (address, init) => {
    const headers = new Headers(init?.headers);
    const isOurs = !headers.has('Authorization'); // else the person wrote one in GraphiQL's header editor
    const send = async (): Promise<Response> => {
      const token = isOurs ? await session.token() : null;
      if (token) headers.set('Authorization', `Bearer ${token}`);
      else if (isOurs) headers.delete('Authorization');
      return fetch(address, { ...init, headers });
    };
    let response = await send();
    if (response.status === 401 && isOurs && session.current) {
      await session.renew();
      response = await send();
    }
    await pickUpSession(response, session);
    return response;
  };
}

/** When a mutation run in the editor answers with a session (signUp, signIn, switchWorkspace, …), use it from now on. */
async function pickUpSession(response: Response, session: SessionStore): Promise<void> {
  if (!/json/.test(response.headers.get('Content-Type') ?? '')) return;
  const answer = (await response
    .clone()
    .json()
    .catch(() => null)) as { data?: Record<string, unknown> | null } | null;
  for (const payload of Object.values(answer?.data ?? {})) {
    const found = (payload as { session?: WireSession | null } | null)?.session;
    if (typeof found?.accessToken === 'string') session.adopt(found, clockOffsetOf(response));
  }
}
