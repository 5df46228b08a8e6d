/** A tiny inbox: each conversation's messages as a list. `#{"api", "token", "by"}` in the address says whose, and from where. */
import { connect, follow } from './follow.js';

const MESSAGE = 'id direction status body conversation { id lead { name } }';
const CONVERSATIONS = `query ($after: String) {
  conversations(first: 100, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } feedCursor } }`;
const MESSAGES = `query ($id: ID!, $before: String) { conversation(id: $id) {
  messages(last: 100, before: $before) { edges { node { ${MESSAGE} } } pageInfo { hasPreviousPage startCursor } } } }`;
const FOLLOWED = {
  messageAdded: `subscription ($after: String) { messageAdded(after: $after) { cursor message { ${MESSAGE} } } }`,
  feed: `subscription ($after: String) { feed(after: $after, kinds: [MESSAGE_ADDED, MESSAGE_UPDATED]) {
    cursor kind message { ${MESSAGE} } } }`,
};

const { api, token, by } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
/** What the test reads: counts of what happened to this page. */
const told = { connections: 0, closed: 0, snapshots: 0, repeated: 0, refused: [], isLive: false };
window.told = told;

async function ask(query, variables) {
  const response = await fetch(api, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

async function snapshot() {
  const found = [];
  let feedCursor = null;
  for (let after = null, more = true; more; ) {
    const { conversations } = await ask(CONVERSATIONS, { after });
    feedCursor ??= conversations.feedCursor; // the first page's: what changed while we read on comes again, and changes nothing
    for (const { node } of conversations.edges) found.push(...(await messagesOf(node.id)));
    ({ hasNextPage: more, endCursor: after } = conversations.pageInfo);
  }
  document.querySelector('main').replaceChildren();
  found.forEach(show);
  told.snapshots += 1;
  return feedCursor;
}

async function messagesOf(id) {
  let messages = [];
  for (let before = null, more = true; more; ) {
    const page = (await ask(MESSAGES, { id, before })).conversation.messages;
    messages = [...page.edges.map(({ node }) => node), ...messages];
    ({ hasPreviousPage: more, startCursor: before } = page.pageInfo);
  }
  return messages;
}

/** Adds it to its conversation's list, or changes what is shown of it. */
function show(message) {
  const line = document.getElementById(message.id) ?? listOf(message.conversation).appendChild(document.createElement('li'));
  line.id = message.id;
  line.dataset.status = message.status;
  line.textContent = `${message.direction === 'INBOUND' ? '←' : '→'} ${message.body} (${message.status})`;
}

function listOf({ id, lead }) {
  const list = document.getElementById(id);
  if (list) return list;
  const section = document.querySelector('main').appendChild(document.createElement('section'));
  section.appendChild(document.createElement('h2')).textContent = lead?.name ?? '?';
  return section.appendChild(Object.assign(document.createElement('ol'), { id }));
}

const client = connect({
  url: api.replace(/^http/, 'ws'),
  token: async () => token,
  on: {
    connected: () => {
      told.connections += 1;
      told.isLive = true;
    },
    closed: () => {
      told.closed += told.isLive ? 1 : 0;
      told.isLive = false;
    },
  },
});
follow(client, {
  query: FOLLOWED[by],
  snapshot,
  take: ({ message }) => message && show(message),
  refused: (code) => told.refused.push(code),
  repeated: () => (told.repeated += 1),
});
