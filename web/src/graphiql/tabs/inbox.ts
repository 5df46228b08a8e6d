/** Writing to a lead, and the answer. */
import { isPortuguese } from '../labels';
import { json, newKey, say } from './writing';

export const startConversation = {
  query: `${say(
    `7. Open a conversation with a lead that has an
e-mail address: paste its id (the tab "Leads")
and an account's (run ChannelAccounts;
ConnectEmail makes one in the local mailbox).
The one there is comes back.
Next: copy conversation.id to "SendMessage".`,
    `7. Abra uma conversa com um lead que tem e-mail:
cole o id dele (a aba "Leads") e o de uma conta
(execute ChannelAccounts; ConnectEmail cria uma
na caixa postal local). Se a conversa já existe,
é ela que volta.
Depois: copie conversation.id para
"SendMessage".`,
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

export const sendMessage = {
  query: `${say(
    `8. Write to the lead. The answer comes at once,
a worker sends; the same idempotencyKey sends
once. With "run", GET /mailbox shows what left.
Next: the tab "MessageAdded".`,
    `8. Escreva ao lead. A resposta vem na hora, um
worker envia; a mesma idempotencyKey envia uma
vez só. Com "run", GET /mailbox mostra o que
saiu.
Depois: a aba "MessageAdded".`,
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

export const messageAdded = {
  query: `${say(
    `9. Every message to and from leads, live from
now on. Send a mail to the account's address, to
the SMTP port that "run" shows, and it arrives
here.
Next: the tab "Inbox".`,
    `9. Cada mensagem de e para leads, ao vivo a
partir de agora. Envie um e-mail ao endereço da
conta, à porta SMTP que o "run" mostra, e ele
chega aqui.
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

export const inbox = {
  query: `${say(
    `10. The conversations, the newest first: for all
give the filter null; "search" finds words in
messages.
Next: the tab "Board".`,
    `10. As conversas, as mais novas primeiro: para
todas dê o filtro null; "search" acha palavras
nas mensagens.
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
