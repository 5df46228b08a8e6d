/** Templates, and sending one to many. */
import { isPortuguese } from '../labels';
import { json, newKey, say } from './writing';

export const templates = {
  query: `${say(
    `13. Messages with variables. Run Templates to
see those there are, CreateTemplate for your
own: what is wrong in it is told with line and
column. RenderTemplate shows it for one lead
(the tab "Leads"); "missing" is what that lead
lacks. Next: copy the template's id to
"PlanBulkSend".`,
    `13. Mensagens com variáveis. Execute Templates
para ver as que existem, CreateTemplate para a
sua: o que estiver errado vem com linha e
coluna. RenderTemplate mostra para um lead (a
aba "Leads"); "missing" é o que falta a esse
lead. Depois: copie o id do modelo para
"PlanBulkSend".`,
  )}
query Templates {
  templates { id name channel subject body variables version }
}

mutation CreateTemplate($template: CreateTemplateInput!) {
  createTemplate(input: $template) {
    template { id name variables version }
    errors { code message path }
  }
}

query RenderTemplate($templateId: ID!, $leadId: ID!) {
  renderTemplate(templateId: $templateId, leadId: $leadId) { subject body missing }
}
`,
  variables: json({
    template: {
      name: isPortuguese ? 'Convite para conversar' : 'Invitation to talk',
      channel: 'EMAIL',
      subject: isPortuguese ? 'Uma ideia para {{ lead.company | fallback: "você" }}' : 'An idea for {{ lead.company | fallback: "you" }}',
      body: isPortuguese
        ? 'Olá, {{ lead.first_name | fallback: "tudo bem" }}! Podemos conversar?'
        : 'Hello {{ lead.first_name | fallback: "there" }}! May we talk?',
    },
    templateId: '',
    leadId: '',
  }),
};

export const bulkSend = {
  query: `${say(
    `14. One message to many. Paste a template's id
and an account's (run ChannelAccounts in an
earlier tab), then run PlanBulkSend: who gets
it, who does not and why, when it will be
done. CreateBulkSend makes a draft and
LaunchBulkSend sends it; it never sends twice.
Next: copy bulkSend.id to "BulkSendProgress".`,
    `14. Uma mensagem para muitos. Cole o id de um
modelo e o de uma conta (execute
ChannelAccounts numa aba anterior), depois
execute PlanBulkSend: quem recebe, quem não e
por quê, quando termina. CreateBulkSend faz um
rascunho e LaunchBulkSend envia; nunca duas
vezes. Depois: copie bulkSend.id para
"BulkSendProgress".`,
  )}
mutation PlanBulkSend($plan: PlanBulkSendInput!) {
  planBulkSend(input: $plan) {
    plan {
      eligible
      exclusions { reason count }
      finishAt
      samples { subject body missing }
    }
    errors { code message path }
  }
}

mutation CreateBulkSend($create: CreateBulkSendInput!) {
  createBulkSend(input: $create) {
    bulkSend { id name status }
    errors { code message path }
  }
}

mutation LaunchBulkSend($launch: BulkSendIdInput!) {
  launchBulkSend(input: $launch) {
    bulkSend { id status startedAt }
    errors { code message path }
  }
}

mutation PauseBulkSend($launch: BulkSendIdInput!) {
  pauseBulkSend(input: $launch) {
    bulkSend { id status }
    errors { code message path }
  }
}

mutation ResumeBulkSend($launch: BulkSendIdInput!) {
  resumeBulkSend(input: $launch) {
    bulkSend { id status }
    errors { code message path }
  }
}

mutation CancelBulkSend($launch: BulkSendIdInput!) {
  cancelBulkSend(input: $launch) {
    bulkSend { id status }
    errors { code message path }
  }
}
`,
  variables: json({
    plan: { templateId: '', accountId: '', filter: { hasEmail: true }, ratePerMinute: 60 },
    create: {
      name: isPortuguese ? 'Convite para conversar' : 'Invitation to talk',
      templateId: '',
      accountId: '',
      filter: { hasEmail: true },
      ratePerMinute: 60,
      idempotencyKey: newKey(),
    },
    launch: { id: '' },
  }),
};

export const bulkSendProgress = {
  query: `${say(
    `15. How a bulk send goes on, live: begins with
its state now, ends with it. Recipients says
of each what became of the message, and why.
Next: the tab "DryRunAutomation".`,
    `15. Como anda um envio em massa, ao vivo:
começa com o estado de agora e termina com
ele. Recipients diz de cada um o que foi da
mensagem, e por quê.
Depois: a aba "DryRunAutomation".`,
  )}
subscription BulkSendProgress($id: ID!) {
  bulkSendProgress(id: $id) {
    status
    pauseReason
    counts { eligible queued sent failed unknown canceled replied excluded }
  }
}

query Recipients($id: ID!, $status: RecipientStatus, $first: Int! = 20, $after: String) {
  bulkSendRecipients(id: $id, status: $status, first: $first, after: $after) {
    edges {
      node {
        lead { name email }
        status
        reason
        at
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  variables: json({ id: '', status: null, first: 20, after: null }),
};
