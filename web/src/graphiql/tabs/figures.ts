/** What became of a period. */
import { json, say } from './writing';

const DAY_MS = 24 * 3600 * 1000;
const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString();

export const dashboard = {
  query: `${say(
    `18. The figures of a period, here the last 30
days; days are the workspace's. replyRate is of
the leads that were written to in it; the median
is of what people answered in it. Hold the mouse
over a field to read how it is counted.`,
    `18. Os números de um período, aqui os últimos
30 dias; os dias são os do espaço de trabalho.
replyRate é dos leads a quem se escreveu nele; a
mediana, do que as pessoas responderam nele.
Passe o mouse sobre um campo para ler como ele é
contado.`,
  )}
query Dashboard($from: DateTime!, $to: DateTime!) {
  dashboard(from: $from, to: $to) {
    leads
    byStage { stage { name kind } count }
    perDay { day leads sent received }
    sent
    failed
    unknown
    replyRate
    medianFirstResponseSeconds
    automationRuns
    automationSkips
  }
}
`,
  // Until tomorrow: what comes in while the page is open is in it.
  variables: json({ from: daysAgo(30), to: daysAgo(-1) }),
};
