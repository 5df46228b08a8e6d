/** What every tab is written with. */
import { isPortuguese } from '../labels';

export const say = (english: string, portuguese: string): string =>
  (isPortuguese ? portuguese : english)
    .split('\n')
    .map((line) => `# ${line}`.trimEnd())
    .join('\n');

export const json = (value: object): string => JSON.stringify(value, null, 2);

/** randomUUID exists only on https and loopback; a key needs to be new, not secret. */
export function newKey(): string {
  return `graphiql-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
}
