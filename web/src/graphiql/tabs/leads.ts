/** From "no account" to leads on a board. */
import { isPortuguese } from '../labels';
import { json, newKey, say } from './writing';

// `cookie`, `policy` and `dryRun` are given though they have defaults: the variables editor calls a non-null field missing all
// the same.
export const signUp = {
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

export const importLeads = {
  query: `${say(
    `2. Import a batch, as the browser extension
does. The answer comes at once; a worker writes
the leads. The same idempotencyKey with the same
leads is the same import: give each new batch a
new key.
Next: copy leadImport.id to "ImportProgress".`,
    `2. Importe um lote, como a extensão do
navegador. A resposta vem na hora; um worker
grava os leads. A mesma idempotencyKey com os
mesmos leads é a mesma importação: dê uma chave
nova a cada lote.
Depois: copie leadImport.id para
"ImportProgress".`,
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

export const importProgress = {
  query: `${say(
    `3. Watch an import: first paste the id that
ImportLeads answered (leadImport.id) into the
variables below, then press play. It begins with
the state now and ends when the import has
ended.
Next: the tab "StartCsvImport".`,
    `3. Acompanhe uma importação: primeiro cole o id
que ImportLeads respondeu (leadImport.id) nas
variáveis abaixo, depois aperte play. Começa com
o estado atual e termina quando a importação
termina.
Depois: a aba "StartCsvImport".`,
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

const upload = `curl -X POST ${location.origin}/uploads \\
  -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: text/csv' \\
  -H 'Content-Disposition: attachment; filename="leads.csv"' \\
  --data-binary @leads.csv`;

export const startCsvImport = {
  query: `${say(
    `4. Import a file, CSV or XLSX. Send it from a
terminal; $TOKEN is the accessToken of SignUp:

${upload}

Put the answer's uploadToken into the variables,
press play; and again a moment later: the same
key is the same import, then with its columns.
With dryRun nothing is written; dryRun false and
a new key go on, by the suggestion or by your own
"mapping": [{"column": "Nome", "field": "NAME"}].
Next: the tab "Leads"; "ImportProgress" watches
files too.`,
    `4. Importe um arquivo, CSV ou XLSX. Envie-o de
um terminal; $TOKEN é o accessToken de SignUp:

${upload}

Ponha o uploadToken da resposta nas variáveis,
aperte play; e de novo logo depois: a mesma
chave é a mesma importação, então com as
colunas. Com dryRun nada é gravado; dryRun false
e uma chave nova continuam, pela sugestão ou por
um seu
"mapping": [{"column": "Nome", "field": "NAME"}].
Depois: a aba "Leads"; "ImportProgress" também
acompanha arquivos.`,
  )}
mutation StartCsvImport($input: StartCsvImportInput!) {
  startCsvImport(input: $input) {
    leadImport {
      id
      status
      fileName
      columns
      suggestedMapping { column field confidence }
      preview
      failure
    }
    errors { code message path }
  }
}
`,
  variables: json({
    input: { uploadToken: '', idempotencyKey: newKey(), policy: 'UPSERT', dryRun: true },
  }),
};

export const leads = {
  query: `${say(
    `5. Read the leads, the newest first.
Next: copy feedCursor to "Feed", to hear of
every change after this very list.`,
    `5. Leia os leads, os mais novos primeiro.
Depois: copie feedCursor para "Feed" e receba
toda mudança posterior a esta lista.`,
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

export const feed = {
  query: `${say(
    `6. All that changes in the workspace, live. The
first item, a HEARTBEAT, has the position it
starts from. Without "after" it starts now; with
an earlier cursor it first replays what came
later.
Next: import a batch in a second window (sign in
there too) and see it arrive here.`,
    `6. Tudo o que muda no espaço de trabalho, ao
vivo. O primeiro item, um HEARTBEAT, traz a
posição em que começa. Sem "after" começa agora;
com um cursor anterior, primeiro repete o que
veio depois dele.
Depois: importe um lote em outra janela (entre
lá também) e veja chegar aqui.`,
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

export const board = {
  query: `${say(
    `11. The board: a column for each stage. Run
Board, then MoveLead with the id and version of
a lead and the id of a stage. If somebody was
faster: CONFLICT, and the lead as it is now.
Next: the tab "Duplicates".`,
    `11. O quadro: uma coluna por etapa. Execute
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

export const duplicates = {
  query: `${say(
    `12. Leads that may be one person, and why: two
of one name and company, say. Run
Duplicates, then MergeLeads with the ids of the
one to keep and of the others. UnmergeLeads with
the answer's merge.id undoes it.
Next: the tab "Templates".`,
    `12. Leads que podem ser uma pessoa só, e por
quê: dois de mesmo nome e empresa, por exemplo.
Execute Duplicates, depois MergeLeads com o id
do que fica e os dos outros. UnmergeLeads com o
merge.id da resposta desfaz a junção.
Depois: a aba "Templates".`,
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
