import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { getIntrospectionQuery } from 'graphql';
import { createClient } from 'graphql-ws';
import { CREATE_TAG, EXPIRED, FEED, TAGS, UPDATE_TAG, authorization, collect, createTag, post, tell, url, wsUrl } from './common.mjs';

const requests = [];
const introspection = await post(getIntrospectionQuery());
const socket = createClient({ url: wsUrl, connectionParams: { authorization } });
const overSocket = subscriptionExchange({
  forwardSubscription: ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
  }),
});
const options = {
  url,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization } },
  fetch: async (...asked) => {
    const response = await fetch(...asked);
    requests.push([asked[1].headers.accept, response.status, response.headers.get('content-type')]);
    return response;
  },
};
const keys = Object.fromEntries(['CreateTagPayload', 'TagPayload', 'FeedItem'].map((name) => [name, () => null]));
const cache = () => cacheExchange({ schema: introspection, keys });
const client = new Client({ ...options, exchanges: [cache(), overSocket, fetchExchange] });
const streaming = new Client({ ...options, exchanges: [cache(), fetchExchange], fetchSubscriptions: true });

const follow = (of, query, variables = {}) =>
  collect((sink) => of.subscription(query, variables).subscribe(sink.next).unsubscribe);
const codes = ({ error }) => error.graphQLErrors.map(({ extensions }) => extensions.code);

async function heard(of) {
  const feed = follow(of, FEED);
  const { kind } = (await feed.next()).value.data.feed;
  const id = await createTag(`Heard by ${of === client ? 'socket' : 'stream'}`);
  const item = (await feed.next()).value.data.feed;
  feed.stop();
  return [kind, item.kind, item.ids[0] === id];
}

async function run() {
  const told = { mutation: (await client.mutation(CREATE_TAG, { name: 'By urql' })).data.createTag };
  const { id } = told.mutation.tag;
  const shown = collect((sink) => client.query(TAGS, {}).subscribe(sink.next).unsubscribe);
  told.query = (await shown.next()).value.data;
  const asked = requests.length;
  await client.mutation(UPDATE_TAG, { id, name: 'Renamed' });
  told.updated = (await shown.next()).value.data;
  told.requestsOfUpdate = requests.length - asked; // the mutation's own: the list came from the cache
  shown.stop();
  told.requests = requests.slice(0, asked);

  told.invalid = codes(await client.query('{ tags { nothing } }', {}, { requestPolicy: 'network-only' }));
  told.badInput = codes(await client.query('{ leads(first: 1000) { totalCount } }', {}));
  told.bySocket = await heard(client);
  told.byStream = await heard(streaming);
  told.streamRequest = requests.at(-1);
  told.expired = [];
  for (const of of [client, streaming]) {
    told.expired.push(codes((await follow(of, FEED, { after: EXPIRED }).next()).value));
  }
  return told;
}

await tell(run());
