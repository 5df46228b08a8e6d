import { createClient } from 'graphql-ws';
import { CREATE_TAG, EXPIRED, FEED, TAGS, collect, createTag, given, post, tell, wsUrl } from './common.mjs';

const closed = [];
const tokens = [given.token, given.otherToken];
const client = createClient({
  url: wsUrl,
  connectionParams: () => ({ authorization: `Bearer ${tokens.length > 1 ? tokens.shift() : tokens[0]}` }),
  lazyCloseTimeout: 10_000,
  retryAttempts: 5,
  retryWait: async () => {},
  on: { closed: (event) => closed.push(event.code) },
});

const follow = (payload) => collect((sink) => client.subscribe(payload, sink));
const all = async (payload) => {
  const results = [];
  for await (const result of client.iterate(payload)) results.push(result);
  return results;
};

async function run() {
  const told = { query: await all({ query: TAGS }) };
  told.mutation = await all({ query: CREATE_TAG, variables: { name: 'By socket' } });
  told.invalid = await all({ query: '{ nothing }' }).catch((errors) => errors);
  told.expired = await all({ query: FEED, variables: { after: EXPIRED } });

  const first = follow({ query: FEED });
  told.heartbeat = (await first.next()).value;
  const heard = await createTag('Heard');
  told.isHeard = (await first.next()).value.data.feed.ids[0] === heard;
  first.stop();
  told.ended = await first.next();
  await createTag('Unheard');

  const second = follow({ query: FEED }); // on the same socket
  await second.next();
  const again = await createTag('Again');
  told.isHeardAgain = (await second.next()).value.data.feed.ids[0] === again;
  told.closedBefore = [...closed];

  // The session ends: 4403. The client comes back by itself, with the token that it asks for anew.
  await post('mutation ($token: String!) { signOut(input: { refreshToken: $token }) { ok } }', { token: given.refreshToken });
  told.back = (await second.next()).value.data.feed.kind;
  const after = await createTag('After', given.otherToken);
  told.isHeardAfter = (await second.next()).value.data.feed.ids[0] === after;
  told.closed = [...closed];
  await client.dispose();
  return told;
}

await tell(run());
