// The server audits of npm's graphql-http, each with its verdict: JSON on standard output.
import { serverAudits } from 'graphql-http';

const [url] = process.argv.slice(2);
const verdicts = [];
for (const audit of serverAudits({ url, fetchFn: fetch })) {
  const { status, reason = '' } = await audit.fn();
  verdicts.push({ id: audit.id, name: audit.name, status, reason });
}
console.log(JSON.stringify(verdicts));
