"""What one call says: the rule, the run and its lead, as they are when it is made."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy import text

from app.automations.domain.rule import Rule, Trigger, rule_of
from app.automations.domain.run import RunReason
from app.automations.infrastructure.episodes import Armed, answered_since
from app.automations.infrastructure.runs import RunClaim
from app.common.database import Statement
from app.common.work import Work

TYPE = "automation.called"
# The rule is held, so that who switches it off waits until the call is begun, or it is not.
READ = Statement(
    text(
        """
        SELECT a.name AS automation_name, a.enabled AND a.deleted_at IS NULL AS is_enabled, a.stopped_at,
            a.webhook_secret, v.number, v.rule::text AS rule,
            r.created_at AS run_at, r.lead_id, r.conversation_id, r.message_id,
            l.deleted_at, l.name, l.email, l.phone, l.company, l.title, l.source, l.engagement, l.score,
            l.metadata::text AS metadata, l.created_at AS lead_created_at,
            l.stage_id, s.name AS stage_name, u.id AS owner_id, u.name AS owner_name,
            ARRAY(
                SELECT t.id FROM lead_tag lt JOIN tag t ON (t.workspace_id, t.id) = (lt.workspace_id, lt.tag_id)
                WHERE lt.workspace_id = cast(:workspace_id as uuid) AND lt.lead_id = l.id ORDER BY t.name_key
            ) AS tag_ids,
            ARRAY(
                SELECT t.name FROM lead_tag lt JOIN tag t ON (t.workspace_id, t.id) = (lt.workspace_id, lt.tag_id)
                WHERE lt.workspace_id = cast(:workspace_id as uuid) AND lt.lead_id = l.id ORDER BY t.name_key
            ) AS tag_names
        FROM automation_run r
            JOIN automation a ON (a.workspace_id, a.id) = (r.workspace_id, r.automation_id)
            JOIN automation_version v ON (v.workspace_id, v.id) = (r.workspace_id, r.version_id)
            JOIN lead l ON (l.workspace_id, l.id) = (r.workspace_id, r.lead_id)
            JOIN stage s ON (s.workspace_id, s.id) = (l.workspace_id, l.stage_id)
            LEFT JOIN app_user u ON u.id = l.owner_id
        WHERE r.workspace_id = cast(:workspace_id as uuid) AND r.id = cast(:run_id as uuid)
        FOR SHARE OF a
        """
    )
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, ready to be made."""

    claim: RunClaim
    rule: Rule
    url: str
    sealed_secret: bytes
    body: bytes

    @property
    def webhook_id(self) -> str:
        """The same however often this action is tried."""
        return f"run_{self.claim.id.hex}_{self.claim.position}"


async def read_call(work: Work, claim: RunClaim) -> Call | RunReason:
    """Of a run that is held; or why there is none to be made."""
    row = await work.fetch_one(READ, workspace_id=claim.workspace_id, run_id=claim.id)
    assert row is not None, "a run that is held has its rule and its lead"
    if not row["is_enabled"] or (row["stopped_at"] is not None and row["stopped_at"] > row["run_at"]):
        return RunReason.DISABLED
    if row["deleted_at"] is not None:
        return RunReason.LEAD_DELETED
    rule = rule_of(orjson.loads(row["rule"]))
    if rule.trigger is Trigger.NO_REPLY:
        armed = Armed(claim.id, row["lead_id"], row["conversation_id"], row["message_id"])
        if await answered_since(work, claim.workspace_id, [armed]):
            return RunReason.EPISODE_ENDED
    url, secret = rule.actions[claim.position].text, row["webhook_secret"]
    assert url is not None
    assert secret is not None, "a rule that calls has a secret"
    return Call(claim, rule, url, secret, body_of(row, claim, rule))


def body_of(row: asyncpg.Record, claim: RunClaim, rule: Rule) -> bytes:
    """As Standard Webhooks has it: `type`, the time of what happened, and the data."""
    return orjson.dumps(
        {
            "type": TYPE,
            "timestamp": _at(row["run_at"]),
            "data": {
                "automation": {
                    "id": claim.automation_id,
                    "name": row["automation_name"],
                    "version": row["number"],
                },
                "run": {"id": claim.id, "position": claim.position, "trigger": rule.trigger.value},
                "lead": _lead(row),
                "conversationId": row["conversation_id"],
                "messageId": row["message_id"],
            },
        },
        default=str,  # the driver's UUIDs are of a type of its own
    )


def _lead(row: asyncpg.Record) -> dict[str, object]:
    return {
        "id": row["lead_id"],
        **{key: row[key] for key in ("name", "email", "phone", "company", "title")},
        "stage": _named(row["stage_id"], row["stage_name"]),
        "owner": _named(row["owner_id"], row["owner_name"]) if row["owner_id"] else None,
        **{key: row[key] for key in ("source", "engagement", "score")},
        "tags": [_named(id, name) for id, name in zip(row["tag_ids"], row["tag_names"], strict=True)],
        "metadata": orjson.Fragment(row["metadata"]),
        "createdAt": _at(row["lead_created_at"]),
    }


def _named(id: UUID, name: str) -> dict[str, object]:
    return {"id": id, "name": name}


def _at(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
