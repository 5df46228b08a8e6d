"""What `canSend` answers, for a page of conversations at once."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, text

from app.accounts.wiring import member_by_id
from app.common.database import Statement
from app.common.domain import Channel
from app.common.work import Reads
from app.conversations.domain.policy import NO_TEMPLATE, OTHER_CHANNEL, Verdict, judged, judged_of_template
from app.conversations.infrastructure.standings import standings
from app.templates.wiring import VALUE_COLUMNS, VALUE_JOINS, TemplateVersion, current_version, values_of

VALUES = Statement(
    text(
        """
        SELECT c.id, c.channel, {columns}
        FROM conversation c
            JOIN channel_account a ON (a.workspace_id, a.id) = (c.workspace_id, c.account_id)
            JOIN lead l ON (l.workspace_id, l.id) = (c.workspace_id, c.lead_id)
            JOIN workspace w ON w.id = c.workspace_id
            {joins}
        WHERE c.workspace_id = cast(:workspace_id as uuid) AND c.id = ANY (:ids)
        """.replace("{columns}", VALUE_COLUMNS).replace("{joins}", VALUE_JOINS)
    ).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
)
DEFAULT_LOCALE = "en"


async def verdicts(
    reads: Reads, workspace_id: UUID, user_id: UUID, asked: Sequence[tuple[UUID, UUID | None]]
) -> list[Verdict | None]:
    """By conversation and template (None: a person's own words), in the order of `asked`, in the language of the user;
    None for a conversation that is not there."""
    viewer = await member_by_id(reads, workspace_id, user_id)
    locale = viewer["locale"] if viewer else DEFAULT_LOCALE
    ids = list(dict.fromkeys(id for id, _ in asked))
    found = await standings(reads, workspace_id, ids)
    of_templates = await _of_templates(
        reads, workspace_id, locale, {(id, template_id) for id, template_id in asked if template_id}
    )
    return [
        _stricter(judged(found[id], locale), of_templates.get((id, template_id))) if id in found else None
        for id, template_id in asked
    ]


def _stricter(own: Verdict, of_template: Verdict | None) -> Verdict:
    return of_template if own.is_allowed and of_template else own


async def _of_templates(
    reads: Reads, workspace_id: UUID, locale: str, asked: set[tuple[UUID, UUID]]
) -> Mapping[tuple[UUID, UUID | None], Verdict]:
    if not asked:
        return {}
    versions = {
        id: await current_version(reads, workspace_id, id) for id in {template_id for _, template_id in asked}
    }
    rows = await reads.fetch(VALUES, workspace_id=workspace_id, ids=list({id for id, _ in asked}))
    known = {row["id"]: (Channel(row["channel"]), values_of(row)) for row in rows}
    return {
        (id, template_id): _of_template(versions[template_id], *known[id], locale)
        for id, template_id in asked
        if id in known
    }


def _of_template(
    version: TemplateVersion | None, channel: Channel, values: Mapping[str, str | None], locale: str
) -> Verdict:
    if version is None:
        return Verdict(reason=NO_TEMPLATE[locale])
    if version.channel not in (None, channel):
        return Verdict(reason=OTHER_CHANNEL[locale])
    return judged_of_template([one for one in version.required if values[one] is None], locale)
