import { createClient } from 'graphql-sse';
import { CREATE_TAG, EXPIRED, FEED, TAGS, authorization, collect, createTag, given, post, tell, url } from './common.mjs';

const client = createClient({ url, headers: () => ({ authorization }), retryAttempts: 0 });
const follow = (payload) => collect((sink) => client.subscribe(payload, sink));
const all = async (payload) => {
  const results = [];
  for await (const result of client.iterate(payload)) results.push(result);
  return results;
};

async function run() {
  const told = { query: await all({ query: TAGS }) };
  told.mutation = await all({ query: CREATE_TAG, variables: { name: 'By stream' } });
  told.invalid = await all({ query: '{ nothing }' });
  told.expired = await all({ query: FEED, variables: { after: EXPIRED } });

  const first = follow({ query: FEED });
  told.heartbeat = (await first.next()).value;
  const heard = await createTag('Heard');
  told.isHeard = (await first.next()).value.data.feed.ids[0] === heard;
  first.stop();
  told.ended = await first.next();

  const second = follow({ query: FEED });
  await second.next();
  await post('mutation ($token: String!) { signOut(input: { refreshToken: $token }) { ok } }', { token: given.refreshToken });
  told.signedOut = (await second.next()).value;
  told.over = await second.next();
  return told;
}

await tell(run());
