/** The four mutations of a session and the shapes they answer with (contract: schema.graphql). */

export const API_PATH = '/graphql';

export interface WireSession {
  accessToken: string;
  expiresAt?: string;
  refreshToken?: string | null;
  viewer?: { user?: { name?: string; email?: string }; workspace?: { name?: string } };
}

interface UserError {
  code: string;
  message: string;
}

interface SessionPayload {
  session: WireSession | null;
  errors: UserError[];
}

export interface Answer<T> {
  data: T;
  /** Milliseconds to add to this machine's clock to get the server's. */
  clockOffset: number;
}

/** What the server refused, in its own words; the network's failures are TypeErrors. */
export class Refused extends Error {}

const SESSION = `session { accessToken expiresAt refreshToken viewer { user { name email } workspace { name } } } errors { code message }`;
const SIGN_UP = `mutation SignUp($input: SignUpInput!) { payload: signUp(input: $input) { ${SESSION} } }`;
const SIGN_IN = `mutation SignIn($input: SignInInput!) { payload: signIn(input: $input) { ${SESSION} } }`;
const REFRESH = `mutation RefreshSession($input: RefreshSessionInput!) { payload: refreshSession(input: $input) { ${SESSION} } }`;
const SIGN_OUT = `mutation SignOut($input: SignOutInput!) { signOut(input: $input) { ok } }`;
const VIEWER = `query Viewer { viewer { user { name email } workspace { name } } }`;

async function post<T>(query: string, variables: object, token?: string): Promise<Answer<T>> {
  const response = await fetch(API_PATH, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json',
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify({ query, variables }),
  });
  const answer = (await response.json()) as { data?: T | null; errors?: { message: string }[] };
  if (!answer.data) throw new Refused(answer.errors?.map((error) => error.message).join(' ') || `HTTP ${response.status}`);
  return { data: answer.data, clockOffset: clockOffsetOf(response) };
}

export function clockOffsetOf(response: Response): number {
  const date = Date.parse(response.headers.get('Date') ?? '');
  return Number.isNaN(date) ? 0 : date - Date.now();
}

async function askForSession(query: string, input: object): Promise<Answer<WireSession>> {
  const { data, clockOffset } = await post<{ payload: SessionPayload }>(query, { input });
  const { session, errors } = data.payload;
  if (!session) throw new Refused(errors.map((error) => error.message).join(' '));
  return { data: session, clockOffset };
}

export interface SignUp {
  email: string;
  password: string;
  name: string;
  workspaceName: string;
  locale: string;
}

export const signUp = (input: SignUp) => askForSession(SIGN_UP, input);
export const signIn = (input: { email: string; password: string }) => askForSession(SIGN_IN, input);
export const refreshSession = (refreshToken: string) => askForSession(REFRESH, { refreshToken });
export const signOut = (refreshToken: string, token: string) => post(SIGN_OUT, { input: { refreshToken } }, token);
export const askViewer = async (token: string) => (await post<{ viewer: WireSession['viewer'] }>(VIEWER, {}, token)).data.viewer;
