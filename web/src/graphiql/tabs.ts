/** The tabs a first visit opens with: a walk from "no account" to an answered message and a worked board,
 * each saying what to do next. */
import { isPortuguese } from './labels';

const say = (english: string, portuguese: string): string =>
  (isPortuguese ? portuguese : english)
    .split('\n')
    .map((line) => `# ${line}`.trimEnd())
    .join('\n');

const json = (value: object): string => JSON.stringify(value, null, 2);

// `cookie` and `policy` are given though they have defaults: the variables editor calls a non-null field missing all the same.
const signUp = {
  query: `${say(
    `1. Create an account here or in the form above:
change the variables below, then press play.
The page takes the session from the answer and
sends its token from then on.
Next: the tab "ImportLeads".`,
    `1. Crie uma conta aqui ou no formulário acima:
altere as variáveis abaixo e aperte play.
A página pega a sessão da resposta e passa a
enviar o token dela.
Depois: a aba "ImportLeads".`,
  )}
mutation SignUp($input: SignUpInput!) {
  signUp(input: $input) {
    session {
      accessToken
      expiresAt
      refreshToken
      viewer {
        user { name email }
        workspace { name }
        role
      }
    }
    errors { code message path }
  }
}
`,
  variables: json({
    input: {
      email: 'ana@example.com',
      password: isPortuguese ? 'troque-esta-senha-longa' : 'change-this-long-password',
      name: 'Ana',
      workspaceName: 'Acme',
      locale: isPortuguese ? 'pt-BR' : 'en',
      cookie: false,
    },
  }),
};

const importLeads = {
  query: `${say(
    `2. Import a batch, as the browser extension does.
The answer comes at once; a worker writes the leads.
The same idempotencyKey with the same leads is the
same import: give each new batch a new key.
Next: copy leadImport.id to "ImportProgress".`,
    `2. Importe um lote, como a extensão do navegador.
A resposta vem na hora; um worker grava os leads.
A mesma idempotencyKey com os mesmos leads é a mesma
importação: dê uma chave nova a cada lote.
Depois: copie leadImport.id para "ImportProgress".`,
  )}
mutation ImportLeads($input: ImportLeadsInput!) {
  importLeads(input: $input) {
    leadImport {
      id
      status
      totalRows
      processedRows
      counts { outcome count }
    }
    errors { code message path }
  }
}
`,
  variables: json({
    input: {
      platform: 'INSTAGRAM',
      pageUrl: 'https://www.instagram.com/acme/followers/',
      idempotencyKey: newKey(),
      policy: 'UPSERT',
      leads: [
        { name: 'Beatriz Souza', username: 'bia.souza', profileUrl: 'https://www.instagram.com/bia.souza/', headline: 'Arquiteta' },
        { name: 'Carlos Lima', username: 'carlos.lima', profileUrl: 'https://www.instagram.com/carlos.lima/', email: 'carlos@example.com' },
        { name: 'Duda Alves', username: 'duda.alves', profileUrl: 'https://www.instagram.com/duda.alves/', phone: '+55 11 91234-5678' },
      ],
    },
  }),
};

const importProgress = {
  query: `${say(
    `3. Watch an import: first paste the id that
ImportLeads answered (leadImport.id) into the
variables below, then press play. It begins with the
state now and ends when the import has ended.
Next: the tab "Leads".`,
    `3. Acompanhe uma importação: primeiro cole o id que
ImportLeads respondeu (leadImport.id) nas variáveis
abaixo, depois aperte play. Começa com o estado atual
e termina quando a importação termina.
Depois: a aba "Leads".`,
  )}
subscription ImportProgress($id: ID!) {
  importProgress(id: $id) {
    id
    status
    totalRows
    processedRows
    counts { outcome count }
    finishedAt
  }
}
`,
  variables: json({ id: '' }),
};

const leads = {
  query: `${say(
    `4. Read the leads, the newest first.
Next: copy feedCursor to "Feed", to hear of every
change after this very list.`,
    `4. Leia os leads, os mais novos primeiro.
Depois: copie feedCursor para "Feed" e receba toda
mudança posterior a esta lista.`,
  )}
query Leads($first: Int! = 20, $after: String) {
  leads(first: $first, after: $after) {
    edges {
      node {
        id
        name
        email
        phone
        company
        source
        stage { name }
        tags { name color }
        createdAt
      }
    }
    pageInfo { hasNextPage endCursor }
    totalCount
    feedCursor
  }
}
`,
  variables: json({ first: 20 }),
};

const feed = {
  query: `${say(
    `5. All that changes in the workspace, live. The first
item, a HEARTBEAT, has the position it starts from.
Without "after" it starts now; with an earlier cursor
it first replays what came later.
Next: import a batch in a second window (sign in
there too) and see it arrive here.`,
    `5. Tudo o que muda no espaço de trabalho, ao vivo.
O primeiro item, um HEARTBEAT, traz a posição em que
começa. Sem "after" começa agora; com um cursor
anterior, primeiro repete o que veio depois dele.
Depois: importe um lote em outra janela (entre lá
também) e veja chegar aqui.`,
  )}
subscription Feed($after: String) {
  feed(after: $after) {
    cursor
    kind
    ids
    lead { id name tags { name } }
    leadImport { id status processedRows totalRows }
  }
}
`,
  variables: json({ after: null }),
};

const startConversation = {
  query: `${say(
    `6. Open a conversation with a lead that has an
e-mail address: paste its id (the tab "Leads") and an
account's (run ChannelAccounts; ConnectEmail makes one
in the local mailbox). The one there is comes back.
Next: copy conversation.id to "SendMessage".`,
    `6. Abra uma conversa com um lead que tem e-mail: cole
o id dele (a aba "Leads") e o de uma conta (execute
ChannelAccounts; ConnectEmail cria uma na caixa postal
local). Se a conversa já existe, é ela que volta.
Depois: copie conversation.id para "SendMessage".`,
  )}
query ChannelAccounts {
  channelAccounts { id name address status }
}

mutation ConnectEmail($connect: ConnectEmailInput!) {
  connectEmail(input: $connect) {
    account { id address status }
    errors { code message path }
  }
}

mutation StartConversation($input: StartConversationInput!) {
  startConversation(input: $input) {
    conversation { id status lead { name email } account { address } }
    errors { code message path }
  }
}
`,
  variables: json({
    connect: { name: 'Ana', address: 'ana@example.com' },
    input: { leadId: '', accountId: '' },
  }),
};

const sendMessage = {
  query: `${say(
    `7. Write to the lead. The answer comes at once, a
worker sends; the same idempotencyKey sends once.
With "run", GET /mailbox shows what left.
Next: see it move in the tab "MessageAdded".`,
    `7. Escreva ao lead. A resposta vem na hora, um worker
envia; a mesma idempotencyKey envia uma vez só.
Com "run", GET /mailbox mostra o que saiu.
Depois: veja chegar na aba "MessageAdded".`,
  )}
mutation SendMessage($input: SendMessageInput!) {
  sendMessage(input: $input) {
    message { id status body createdAt }
    errors { code message path }
  }
}
`,
  variables: json({
    input: {
      conversationId: '',
      subject: isPortuguese ? 'Uma ideia' : 'An idea',
      body: isPortuguese ? 'Olá! Podemos conversar?' : 'Hello! May we talk?',
      idempotencyKey: newKey(),
    },
  }),
};

const messageAdded = {
  query: `${say(
    `8. Every message to and from leads, live. Send a mail
to the account's address, to the SMTP port that "run"
shows, and it arrives here.
Next: the tab "Inbox".`,
    `8. Cada mensagem de e para leads, ao vivo. Envie um
e-mail ao endereço da conta, à porta SMTP que o "run"
mostra, e ele chega aqui.
Depois: a aba "Inbox".`,
  )}
subscription MessageAdded($conversationId: ID, $after: String) {
  messageAdded(conversationId: $conversationId, after: $after) {
    cursor
    message {
      id
      direction
      status
      body
      conversation { id status unreadCount lead { name } }
    }
  }
}
`,
  variables: json({ conversationId: null, after: null }),
};

const inbox = {
  query: `${say(
    `9. The conversations, the newest first: for all give
the filter null; "search" finds words in messages.
Next: the tab "Board".`,
    `9. As conversas, as mais novas primeiro: para todas dê
o filtro null; "search" acha palavras nas mensagens.
Depois: a aba "Board".`,
  )}
query Inbox($filter: ConversationFilter, $first: Int! = 20, $after: String) {
  conversations(filter: $filter, first: $first, after: $after) {
    edges {
      node {
        id
        status
        unreadCount
        lead { name email }
        assignee { name }
        lastMessage { direction status subject body createdAt }
      }
    }
    pageInfo { hasNextPage endCursor }
    feedCursor
  }
}
`,
  variables: json({ filter: { statuses: ['OPEN'] }, first: 20 }),
};

const board = {
  query: `${say(
    `10. The board: a column for each stage. Run
Board, then MoveLead with the id and version of
a lead and the id of a stage. If somebody was
faster: CONFLICT, and the lead as it is now.
Next: the tab "Duplicates".`,
    `10. O quadro: uma coluna por etapa. Execute
Board, depois MoveLead com o id e a version de
um lead e o id de uma etapa. Se alguém foi mais
rápido: CONFLICT, e o lead como está agora.
Depois: a aba "Duplicates".`,
  )}
query Board($filter: LeadFilter, $first: Int! = 10) {
  board(filter: $filter) {
    stage { id name kind }
    totalCount
    leads(first: $first) {
      edges { node { id name version owner { name } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}

mutation MoveLead($move: MoveLeadInput!) {
  moveLead(input: $move) {
    lead { id name version stage { name } }
    errors { code message path }
  }
}
`,
  variables: json({
    filter: null,
    first: 10,
    move: { id: '', stageId: '', afterLeadId: null, version: 1 },
  }),
};

const duplicates = {
  query: `${say(
    `11. Leads that may be one person, and why. Run
Duplicates, then MergeLeads with the ids of the
one to keep and of the others. UnmergeLeads with
the answer's merge.id undoes it.`,
    `11. Leads que podem ser uma pessoa só, e por quê.
Execute Duplicates, depois MergeLeads com o id do
que fica e os dos outros. UnmergeLeads com o
merge.id da resposta desfaz a junção.`,
  )}
query Duplicates($first: Int! = 20) {
  duplicates(first: $first) {
    reason
    leads { id name email phone company createdAt }
  }
}

mutation MergeLeads($merge: MergeLeadsInput!) {
  mergeLeads(input: $merge) {
    merge {
      id
      mergedIds
      kept { id name email phone }
    }
    errors { code message path }
  }
}

mutation UnmergeLeads($unmerge: UnmergeLeadsInput!) {
  unmergeLeads(input: $unmerge) {
    leads { id name email phone }
    errors { code message path }
  }
}
`,
  variables: json({
    first: 20,
    merge: { keepId: '', mergeIds: [''] },
    unmerge: { mergeId: '' },
  }),
};

export const defaultTabs = [
  signUp,
  importLeads,
  importProgress,
  leads,
  feed,
  startConversation,
  sendMessage,
  messageAdded,
  inbox,
  board,
  duplicates,
];

/**
 * What the editors begin with. On a first visit GraphiQL would leave the first tab's variables out; after a reload it compares
 * what it kept of the editors with what it kept of the tabs, and when the one was written a moment before the other, it opens
 * one tab more.
 */
export const initialContents = readActiveTab() ?? { initialQuery: signUp.query, initialVariables: signUp.variables };

function readActiveTab(): { initialQuery: string; initialVariables: string } | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem('graphiql:tabState') ?? 'null') as KeptTabs | null;
    const active = kept?.tabs[kept.activeTabIndex];
    return active ? { initialQuery: active.query ?? '', initialVariables: active.variables ?? '' } : null;
  } catch {
    return null;
  }
}

interface KeptTabs {
  activeTabIndex: number;
  tabs: { query?: string | null; variables?: string | null }[];
}

/** randomUUID exists only on https and loopback; a key needs to be new, not secret. */
function newKey(): string {
  return `graphiql-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
}
