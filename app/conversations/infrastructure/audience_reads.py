"""What a filter's leads would be to a batch: read of the leads as they are, nothing is written."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, Text, Uuid, bindparam, select, text

from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Reads
from app.conversations.domain.audience import Audience, ExclusionReason, SendingLimits
from app.conversations.domain.by_rule import RuleRefusal
from app.conversations.domain.delivery import Reason
from app.conversations.domain.policy import REFUSALS
from app.conversations.infrastructure.audience import ADDRESS, AROUND, EXCLUDED
from app.conversations.infrastructure.policy import REFUSAL
from app.leads.infrastructure.tables import lead
from app.leads.wiring import LeadConditions, likely_zones
from app.templates.wiring import MISSING, VALUE_COLUMNS, values_of

EXAMPLE = "EXAMPLE"
JUDGED = (
    *("workspace_id", "id", "name", "email", "phone", "company", "title", "stage_id", "owner_id"),
    *("time_zone", "deleted_at"),
)
TEXTS = {
    "l.name": ("lead.name", "lead.first_name", "lead.last_name"),
    "l.company": ("lead.company",),
    "l.title": ("lead.title",),
    "l.email": ("lead.email",),
    "value_stage.name": ("lead.stage",),
    "value_owner.name": ("owner.name", "owner.first_name"),
}
"""What differs from lead to lead, and the variables that show it."""
SHOWN = ", ".join(
    f"CASE WHEN ARRAY {list(names)} && :variables THEN {column} END" for column, names in TEXTS.items()
)
LACKING = " + ".join(f"('{name}' = ANY (:optional) AND {lacks})::integer" for name, lacks in MISSING.items())
AREA_LENGTH = 9
"""Of a phone number, with its +: but for one village no zone is told by more digits."""
PLAN = f"""
    , judged AS MATERIALIZED (
        SELECT l.id, l.time_zone, l.phone, {EXCLUDED} AS excluded, concat({SHOWN}) AS shown, {LACKING} AS lacking
        FROM l {AROUND}
    ), eligible AS (SELECT * FROM judged WHERE excluded IS NULL)
    SELECT excluded, time_zone, min(phone) AS phone, count(*) AS count, cast(NULL as uuid) AS id
    FROM judged
    GROUP BY excluded, time_zone, CASE WHEN excluded IS NULL AND time_zone IS NULL THEN left(phone, {AREA_LENGTH}) END,
        CASE WHEN excluded IS NULL AND time_zone IS NULL THEN length(phone) END
    UNION ALL
    (SELECT '{EXAMPLE}', NULL, NULL, 1, id FROM eligible ORDER BY char_length(shown) DESC, id LIMIT 1)
    UNION ALL
    (SELECT '{EXAMPLE}', NULL, NULL, 2, id FROM eligible ORDER BY char_length(shown), id LIMIT 1)
    UNION ALL
    (SELECT '{EXAMPLE}', NULL, NULL, 3, id FROM eligible WHERE lacking > 0 ORDER BY lacking DESC, id LIMIT 1)
    UNION ALL
    (SELECT '{EXAMPLE}', NULL, NULL, 4, id FROM eligible WHERE octet_length(shown) > char_length(shown)
        ORDER BY octet_length(shown) - char_length(shown) DESC, id LIMIT 1)
"""  # noqa: S608 - constants of ours
VALUES = Statement(
    text(
        f"""
        SELECT l.id, {VALUE_COLUMNS} FROM lead l {AROUND}
        WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = ANY (:ids)
        """  # noqa: S608 - constants of ours
    ).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
)
WITHOUT_SUBJECT = f"""
CASE WHEN NOT cast(:has_subject as bool) AND a.channel = '{Channel.EMAIL}' AND NOT EXISTS (
    SELECT FROM conversation c
    WHERE c.workspace_id = l.workspace_id AND c.account_id = a.id AND c.contact_address = {ADDRESS}
        AND c.message_count > 0
) THEN '{RuleRefusal.NO_SUBJECT}' END"""
REFUSED = Statement(
    text(
        f"""
        SELECT * FROM (
            SELECT l.id, coalesce({EXCLUDED}, {REFUSAL.format(c_address=ADDRESS)}, {WITHOUT_SUBJECT}) AS reason
            FROM lead l {AROUND}
            WHERE l.workspace_id = cast(:workspace_id as uuid) AND l.id = ANY (:lead_ids) AND l.deleted_at IS NULL
        ) judged
        WHERE reason IS NOT NULL
        """  # noqa: S608 - constants of ours
    ).bindparams(bindparam("lead_ids", type_=ARRAY(Uuid)), bindparam("required", type_=ARRAY(Text)))
)

LIMITS = Statement(
    text(
        """
        SELECT now() AS now, w.time_zone AS zone, a.rate_per_minute, a.burst, a.daily_limit,
            sd.daily_limit AS domain_limit, pa.brake_until, w.quiet_from, w.quiet_to, w.quiet_weekdays,
            CASE WHEN pa.day >= t.today THEN pa.day_count ELSE 0 END AS used,
            CASE WHEN pd.day >= t.today THEN pd.day_count ELSE 0 END AS domain_used
        FROM channel_account a
            JOIN workspace w ON w.id = a.workspace_id
            CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE known_zone(w.time_zone))::date AS today) t
            LEFT JOIN sending_domain sd ON sd.workspace_id = a.workspace_id AND sd.domain = a.sending_domain
            LEFT JOIN send_pace pa
                ON pa.workspace_id = a.workspace_id AND pa.kind = 'ACCOUNT' AND pa.key = a.id::text
            LEFT JOIN send_pace pd
                ON pd.workspace_id = a.workspace_id AND pd.kind = 'DOMAIN' AND pd.key = a.sending_domain
        WHERE a.workspace_id = cast(:workspace_id as uuid) AND a.id = cast(:account_id as uuid)
        """
    )
)

# What running batches of the account still have to send: the planned one shares its limits with them.
AHEAD = Statement(
    text(
        """
        SELECT count(*) AS count
        FROM send_batch b JOIN delivery d ON d.workspace_id = b.workspace_id AND d.send_batch_id = b.id
        WHERE b.workspace_id = cast(:workspace_id as uuid) AND b.account_id = cast(:account_id as uuid)
            AND b.status = 'RUNNING' AND d.status IN ('queued', 'claimed') AND d.send_batch_id IS NOT NULL
        """
    )
)


def _plan_statement(conditions: LeadConditions) -> Statement:
    """The filter's leads as `l`, before the rest."""
    leads = (
        select(*(lead.c[name] for name in JUDGED))
        .where(
            lead.c.workspace_id == bindparam("workspace_id"),
            *conditions.where(),
        )
        .cte("l")
    )
    lists = (bindparam(name, type_=ARRAY(Text)) for name in ("required", "optional", "variables"))
    rest = text(PLAN).bindparams(*lists)
    return Statement(rest.columns(id=Uuid).add_cte(leads))


async def plan_audience(
    reads: Reads,
    workspace_id: UUID,
    conditions: LeadConditions,
    *,
    account_id: UUID,
    required: Sequence[str],
    variables: Sequence[str],
) -> Audience:
    """Whom a batch of this account and template would go to, by the rule by which recipients are taken in."""
    optional = [name for name in variables if name not in required]
    values: dict[str, Any] = {
        "workspace_id": workspace_id,
        "account_id": account_id,
        "required": list(required),
    }
    rows = await reads.fetch_planned(
        _plan_statement(conditions),
        **values,
        variables=list(variables),
        optional=optional,
        **conditions.values,
    )
    examples = [row["id"] for row in rows if row["excluded"] == EXAMPLE]
    groups = [row for row in rows if row["excluded"] != EXAMPLE]
    found = await reads.fetch(VALUES, workspace_id=workspace_id, account_id=account_id, ids=examples)
    by_id = {row["id"]: values_of(row) for row in found}
    exclusions: Counter[ExclusionReason] = Counter()
    for row in groups:
        if row["excluded"] is not None:
            exclusions[ExclusionReason(row["excluded"])] += row["count"]
    return Audience(
        zones=_zones([row for row in groups if row["excluded"] is None]),
        exclusions=exclusions,
        examples=tuple(by_id[id] for id in dict.fromkeys(examples) if id in by_id),
    )


def _zones(groups: Sequence[asyncpg.Record]) -> Counter[str | None]:
    """How many are where; None: nobody knows."""
    phones = likely_zones({row["phone"] for row in groups if row["phone"] and not row["time_zone"]})
    zones: Counter[str | None] = Counter()
    for row in groups:
        zones[row["time_zone"] or phones.get(row["phone"])] += row["count"]
    return zones


async def refused_leads(
    reads: Reads,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    account_id: UUID,
    required: Sequence[str],
    has_subject: bool,
) -> dict[UUID, str]:
    """Which of these live leads would be sent nothing from this account, and why: an ExclusionReason, NO_SUBJECT of a
    first mail, or SendRefusal of the account. What passes by itself (quiet hours, a day's limit) is no reason."""
    rows = await reads.fetch(
        REFUSED,
        workspace_id=workspace_id,
        lead_ids=list(lead_ids),
        account_id=account_id,
        required=list(required),
        has_subject=has_subject,
    )
    exclusions = {RuleRefusal.NO_SUBJECT.value, *(one.value for one in ExclusionReason)}
    return {
        row["id"]: row["reason"] if row["reason"] in exclusions else REFUSALS[Reason(row["reason"])].value
        for row in rows
    }


async def sending_limits(reads: Reads, workspace_id: UUID, account_id: UUID) -> SendingLimits | None:
    """None for an unknown account."""
    row = await reads.fetch_one(LIMITS, workspace_id=workspace_id, account_id=account_id)
    if row is None:
        return None
    ahead = await reads.fetch_one(AHEAD, workspace_id=workspace_id, account_id=account_id)
    daily = ((row["daily_limit"], row["used"]), (row["domain_limit"], row["domain_used"]))
    names = (
        "now",
        "zone",
        "rate_per_minute",
        "burst",
        "brake_until",
        "quiet_from",
        "quiet_to",
        "quiet_weekdays",
    )
    return SendingLimits(
        daily=[(limit, used) for limit, used in daily if limit is not None],
        ahead=ahead["count"] if ahead else 0,
        **{name: row[name] for name in names},
    )
