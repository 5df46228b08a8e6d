/** The words of the bar above GraphiQL, in Brazilian Portuguese and English. */

const english = {
  bar: 'Session',
  signIn: 'Sign in',
  createAccount: 'Create account',
  haveAccount: 'I have an account',
  noAccount: 'Create an account',
  forgot: 'Forgot the password?',
  email: 'E-mail',
  password: 'Password',
  name: 'Your name',
  workspaceName: 'Workspace',
  signOut: 'Sign out',
  busy: 'One moment…',
  signedInAs: (who: string, workspace: string) => (workspace ? `Signed in as ${who} · ${workspace}` : `Signed in as ${who}`),
  someone: 'someone',
  signedOut: 'Not signed in: requests are sent without a token.',
  keptUntil: (time: string) => `Token until ${time}, renewed by itself`,
  endsAt: (time: string) => `Token until ${time}; ask for refreshToken too and it renews itself`,
  expired: 'The session has ended. Sign in again.',
  unreachable: 'The API did not answer. Is it running?',
  editors: 'GraphQL editor',
};

export type Labels = typeof english;

const portuguese: Labels = {
  bar: 'Sessão',
  signIn: 'Entrar',
  createAccount: 'Criar conta',
  haveAccount: 'Já tenho conta',
  noAccount: 'Criar uma conta',
  forgot: 'Esqueceu a senha?',
  email: 'E-mail',
  password: 'Senha',
  name: 'Seu nome',
  workspaceName: 'Espaço de trabalho',
  signOut: 'Sair',
  busy: 'Um momento…',
  signedInAs: (who, workspace) => (workspace ? `Você entrou como ${who} · ${workspace}` : `Você entrou como ${who}`),
  someone: 'alguém',
  signedOut: 'Sem sessão: as requisições vão sem token.',
  keptUntil: (time) => `Token até ${time}, renovado sozinho`,
  endsAt: (time) => `Token até ${time}; peça também o refreshToken para que ele se renove sozinho`,
  expired: 'A sessão terminou. Entre de novo.',
  unreachable: 'A API não respondeu. Ela está no ar?',
  editors: 'Editor GraphQL',
};

export const isPortuguese = navigator.language.toLowerCase().startsWith('pt');
export const locale = isPortuguese ? 'pt-BR' : 'en';
export const labels = isPortuguese ? portuguese : english;
