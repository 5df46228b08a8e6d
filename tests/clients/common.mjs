// What the programs here share. Each is given the API's address and a JSON object, and writes what it was told as JSON.
export const [url, given] = [process.argv[2], JSON.parse(process.argv[3] ?? '{}')];
export const wsUrl = url.replace('http', 'ws');
export const authorization = `Bearer ${given.token}`;

export const TAGS = 'query Tags { tags { id name } }';
export const CREATE_TAG = `
  mutation CreateTag($name: String!) { createTag(input: { name: $name }) { tag { id name } errors { code path } } }`;
export const UPDATE_TAG = `
  mutation UpdateTag($id: ID!, $name: String!) {
    updateTag(input: { id: $id, name: $name }) { tag { id name } errors { code } }
  }`;
export const FEED = 'subscription Feed($after: String) { feed(after: $after) { cursor kind ids } }';
export const EXPIRED = given.ahead; // a position that the feed does not have

/** As a browser tab would, beside the client that is tried. */
export async function post(query, variables, token = given.token) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()).data;
}

export const createTag = async (name, token) => (await post(CREATE_TAG, { name }, token)).createTag.tag.id;

/** A subscription's items as they come: `next()` waits for one. `subscribe` is given a sink. */
export function collect(subscribe) {
  const [items, waiting] = [[], []];
  const put = (item) => (waiting.length ? waiting.shift()(item) : items.push(item));
  const stop = subscribe({
    next: (value) => put({ value }),
    error: (error) => put({ error }),
    complete: () => put({ isComplete: true }),
  });
  return {
    next: () => (items.length ? Promise.resolve(items.shift()) : new Promise((resolve) => waiting.push(resolve))),
    stop,
  };
}

export async function tell(told) {
  console.log(JSON.stringify(await told));
  process.exit(0);
}
