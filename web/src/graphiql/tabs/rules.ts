/** Rules that act by themselves, and rules that say whom to write to first. */
import { isPortuguese } from '../labels';
import { json, say } from './writing';

export const automations = {
  query: `${say(
    `16. Rules that act by themselves. Run
DryRunAutomation: how often this rule would
have acted in the last days, and nothing is
done. CreateAutomation makes it. Import a lead
and run AutomationRuns (copy automation.id):
what each run did, step by step, or why it
did nothing. Switch it off with
SetAutomationEnabled.
Next: the tab "BestLeads".`,
    `16. Regras que agem sozinhas. Execute
DryRunAutomation: quantas vezes esta regra
teria agido nos últimos dias, sem fazer nada.
CreateAutomation a cria. Importe um lead e
execute AutomationRuns (copie automation.id):
o que cada execução fez, passo a passo, ou
por que não fez nada. Desligue com
SetAutomationEnabled.
Depois: a aba "BestLeads".`,
  )}
mutation DryRunAutomation($automation: CreateAutomationInput!, $days: Int! = 30) {
  dryRunAutomation(input: { automation: $automation, days: $days }) {
    dryRun {
      wouldFire
      leads
      sends
      blocked { reason count }
      loopsWith { name }
      samples { name }
    }
    errors { code message path }
  }
}

mutation CreateAutomation($automation: CreateAutomationInput!) {
  createAutomation(input: $automation) {
    automation { id name enabled version warnings }
    errors { code message path }
  }
}

query AutomationRuns($id: ID!, $first: Int! = 20, $after: String) {
  automation(id: $id) {
    name
    enabled
    warnings
    actions {
      __typename
      ... on AddTagAction { tag { name } }
      ... on SendTemplateAction { template { name } account { name } }
      ... on WaitAction { seconds }
      ... on AddNoteAction { body }
      ... on CallWebhookAction { url secret }
    }
    runs(first: $first, after: $after) {
      edges {
        node {
          status
          reason
          waitsUntil
          lead { name }
          steps { position action result at }
        }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}

mutation SetAutomationEnabled($switch: SetAutomationEnabledInput!) {
  setAutomationEnabled(input: $switch) {
    automation { id enabled }
    errors { code message path }
  }
}
`,
  variables: json({
    automation: {
      name: isPortuguese ? 'Lembrar de quem tem e-mail' : 'Remember who has an e-mail',
      trigger: 'LEAD_CREATED',
      match: 'ALL',
      conditions: [{ field: 'EMAIL', op: 'EXISTS' }],
      actions: [
        { waitSeconds: 5 },
        { addNote: isPortuguese ? 'Escreva hoje para este lead.' : 'Write to this lead today.' },
      ],
      enabled: true,
    },
    days: 30,
    id: '',
    first: 20,
    after: null,
    switch: { id: '', enabled: false },
  }),
};

export const scores = {
  query: `${say(
    `17. Whom to write to first. Run BestLeads, and
copy a lead's id into the variables:
ScoreReasons says what its score is made of.
SaveScoreRules puts these rules in place of all
there were; a worker scores every lead by them
at once, and every night, for points fade by
their half-life.
Next: the tab "Dashboard".`,
    `17. A quem escrever primeiro. Execute BestLeads
e copie o id de um lead para as variáveis:
ScoreReasons diz de que é feita a pontuação.
SaveScoreRules põe estas regras no lugar de
todas; um worker pontua todos os leads por elas
na hora, e toda noite: os pontos perdem metade
do valor a cada meia-vida.
Depois: a aba "Dashboard".`,
  )}
query BestLeads($minScore: Int! = 1) {
  leads(sort: SCORE, filter: { minScore: $minScore }, first: 20) {
    edges { node { id name score } }
  }
  scoreRules { event value points halfLifeDays }
}

query ScoreReasons($leadId: ID!) {
  scoreReasons(leadId: $leadId) { points text }
}

mutation SaveScoreRules($rules: [ScoreRuleInput!]!) {
  saveScoreRules(input: { rules: $rules }) {
    rules { event value points halfLifeDays }
    errors { code message path }
  }
}
`,
  variables: json({
    minScore: 1,
    leadId: '',
    rules: [
      { event: 'MESSAGE_RECEIVED', points: 20, halfLifeDays: 14 },
      { event: 'HAS_EMAIL', points: 5 },
      { event: 'HAS_PHONE', points: 5 },
    ],
  }),
};
