/**
 * A client of the feed: what a page does so that it has everything, in order and once, whatever happens to the connection.
 * docs/architecture.md ("A client of the feed") has the reasons. For feed, messageAdded, and whatever else takes `after`.
 */
import { createClient } from 'graphql-ws';

const PONG_WITHIN_MS = 5_000;
const WORTH_A_RETRY = new Set(['UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL_SERVER_ERROR']);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Longer each time and never the same for two clients, which an API that comes back would meet all at once. */
const backOff = (retries) => pause(Math.min(250 * 2 ** retries, 5_000) * (0.5 + Math.random() / 2));

/** One socket for all of a page's subscriptions. `token` is asked at every connection: it renews what has run out. */
export function connect({ url, token, on = {} }) {
  let overdue;
  const client = createClient({
    url,
    connectionParams: async () => ({ authorization: `Bearer ${await token()}` }),
    retryAttempts: Infinity,
    shouldRetry: () => true, // a refused connection is an error and no close: by itself graphql-ws would give up
    retryWait: backOff,
    keepAlive: 10_000,
    lazyCloseTimeout: 10_000, // between one view's subscription and the next one's the socket stays
    on: {
      ...on,
      ping: (received) => {
        if (!received) overdue = setTimeout(() => client.terminate(), PONG_WITHIN_MS); // a connection that died in silence
      },
      pong: (received) => {
        if (received) clearTimeout(overdue);
      },
      closed: (event) => {
        clearTimeout(overdue);
        on.closed?.(event);
      },
    },
  });
  return client;
}

/**
 * Snapshot, replay, live. `snapshot` reads the list over HTTP, shows it, and answers its feedCursor; it is called again when
 * the cursor has expired. `take` gets each item once, in order. `refused` gets the code of what no retry mends.
 * Returns how to stop.
 */
export function follow(client, { query, variables = {}, snapshot, take, refused, repeated = () => {} }) {
  let cursor = null;
  let isOver = false;
  let stop = () => {};

  async function begin(failures = 0) {
    try {
      cursor ??= await snapshot();
      if (!isOver) subscribe(failures);
    } catch {
      await backOff(failures);
      if (!isOver) void begin(failures + 1);
    }
  }

  function subscribe(failures) {
    let hasEnded = false;
    const end = async (code) => {
      if (hasEnded || isOver) return;
      hasEnded = true;
      stop();
      if (code === 'CURSOR_EXPIRED') cursor = null;
      else if (!code || WORTH_A_RETRY.has(code)) await backOff(failures);
      else return refused(code);
      if (!isOver) void begin(failures + 1);
    };
    const payload = {
      query,
      // A getter: graphql-ws keeps this object and writes it anew at every reconnection, so it says where we are by then.
      variables: {
        ...variables,
        get after() {
          return cursor;
        },
      },
    };
    stop = client.subscribe(payload, {
      next: ({ data, errors }) => {
        if (hasEnded || isOver) return;
        if (errors) return void end(errors[0].extensions?.code);
        failures = 0;
        const [item] = Object.values(data);
        if (item.kind === 'HEARTBEAT') cursor = item.cursor;
        else if (item.cursor <= cursor) repeated(item);
        else {
          cursor = item.cursor;
          take(item);
        }
      },
      error: (problem) => void end(Array.isArray(problem) ? problem[0].extensions?.code : undefined),
      complete: () => void end(),
    });
  }

  void begin();
  return () => {
    isOver = true;
    stop();
  };
}
