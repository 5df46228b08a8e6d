import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, ServerError, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { CREATE_TAG, EXPIRED, FEED, TAGS, UPDATE_TAG, authorization, collect, createTag, tell, url, wsUrl } from './common.mjs';

const requests = [];
const socket = createClient({ url: wsUrl, connectionParams: { authorization } });
const http = new HttpLink({
  uri: url,
  headers: { authorization },
  fetch: async (...asked) => {
    const response = await fetch(...asked);
    requests.push([asked[1].headers.accept, response.status, response.headers.get('content-type')]);
    return response;
  },
});
const client = new ApolloClient({
  link: ApolloLink.split(({ operationType }) => operationType === 'subscription', new GraphQLWsLink(socket), http),
  cache: new InMemoryCache(),
});
const refused = (error) =>
  CombinedGraphQLErrors.is(error)
    ? { codes: error.errors.map(({ extensions }) => extensions.code) }
    : { status: ServerError.is(error) ? error.statusCode : String(error) };
const follow = (variables) =>
  collect((sink) => {
    const subscription = client.subscribe({ query: gql(FEED), variables }).subscribe(sink);
    return () => subscription.unsubscribe();
  });

async function run() {
  const told = { query: (await client.query({ query: gql(TAGS) })).data };
  const { data } = await client.mutate({ mutation: gql(CREATE_TAG), variables: { name: 'By Apollo' } });
  told.mutation = data.createTag;
  told.userError = (await client.mutate({ mutation: gql(CREATE_TAG), variables: { name: '' } })).data.createTag;
  told.invalid = await client.query({ query: gql('{ nothing }') }).catch(refused);
  told.badInput = await client
    .query({ query: gql('query ($n: Int!) { leads(first: $n) { totalCount } }'), variables: { n: 1000 } })
    .catch(refused);
  told.badToken = await client
    .query({ query: gql('{ feedCursor }'), context: { headers: { authorization: 'Bearer x' } } })
    .catch(refused);

  const { id } = data.createTag.tag;
  await client.query({ query: gql(TAGS), fetchPolicy: 'network-only' });
  await client.mutate({ mutation: gql(UPDATE_TAG), variables: { id, name: 'Renamed' } });
  told.cached = client.readQuery({ query: gql(TAGS) }).tags.map(({ name }) => name);

  const feed = follow({});
  told.heartbeat = (await feed.next()).value.data.feed.kind;
  const heard = await createTag('Heard');
  told.isHeard = (await feed.next()).value.data.feed.ids[0] === heard;
  feed.stop();
  const { value, error } = await follow({ after: EXPIRED }).next();
  told.expired = refused(error ?? value.error);
  told.requests = requests;
  return told;
}

await tell(run());
