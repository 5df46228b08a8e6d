"""`seed-demo` itself: which database, which transactions, what it tells."""

import asyncio
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text

from app.accounts.domain.session import Caller
from app.accounts.domain.user import NewAccount
from app.accounts.wiring import account_use_cases, accounts_services
from app.common.database import Statement
from app.common.domain import Conflict
from app.common.migrations import upgrade
from app.common.roles import check_roles
from app.common.work import Doors, Work
from app.demo.automations import add_demo_automations
from app.demo.filling import FIND_MEMBERS, fill
from app.demo.inbox import add_mails
from app.demo.mails import THREADS
from app.demo.people import LEADS, LOCALE, LOGINS, OWNER, SOURCES, TAGS, WORKSPACE, DemoLead, demo_leads
from app.demo.templates import add_demo_templates
from app.embedded.access import open_database
from app.embedded.config import Config
from app.embedded.state import Home, read_json, write_private
from app.leads.domain.lead import created, new_lead
from app.leads.wiring import (
    LeadConditions,
    LeadRepository,
    count_leads,
    list_stages,
    score_rule_use_cases,
    stage_use_cases,
)
from app.settings import Settings
from app.tags.wiring import tag_use_cases

ADD_PERSON = Statement(
    text(
        """
        WITH person AS (
            INSERT INTO app_user (name, email, password_hash, locale)
            VALUES (:name, :email, :password_hash, :locale) RETURNING id
        )
        INSERT INTO member (workspace_id, user_id, role)
        SELECT cast(:workspace_id as uuid), id, cast(:role as text) FROM person
        """
    )
)
FIND_WORKSPACE = Statement(
    text(
        """
        SELECT m.workspace_id FROM member m JOIN app_user u ON u.id = m.user_id
        WHERE u.email = cast(:email as text) AND m.role = 'OWNER' ORDER BY m.joined_at LIMIT 1
        """
    )
)
FIND_HASH = Statement(text("SELECT password_hash FROM app_user WHERE email = cast(:email as text)"))
SET_HASH = Statement(
    text(
        """
        UPDATE app_user u SET password_hash = :password_hash, updated_at = now()
        WHERE u.email = cast(:email as text) AND EXISTS (
            SELECT FROM member m WHERE m.user_id = u.id AND m.workspace_id = cast(:workspace_id as uuid)
        )
        """
    )
)
DATE = Statement(
    text(
        """
        UPDATE lead SET created_at = d.at, updated_at = d.at, engagement = d.engagement
        FROM unnest(cast(:ids as uuid[]), cast(:ats as timestamptz[]), cast(:engagements as text[]))
            AS d(id, at, engagement)
        WHERE lead.workspace_id = cast(:workspace_id as uuid) AND lead.id = d.id
        """
    )
)
"""No use case makes a lead of last month, nor one that has answered long ago."""


@dataclass(frozen=True)
class Seeded:
    """What was made; `has_new_members` says that the workspace was."""

    has_new_members: bool
    has_new_leads: bool
    has_new_mails: bool
    has_new_templates: bool
    has_new_automations: bool
    has_new_password: bool
    more_leads: int
    is_password_right: bool
    """Whether the owner's account really has the password of this call."""


def seed_demo(
    config: Config,
    *,
    should_reset_password: bool = False,
    more_leads: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> str:
    """On the configured, the running or the resting database; what to tell. Raises SystemExit, EmbeddedError.

    `more_leads` are further ones, beside the 300; `progress` is told how many of them are looked after.
    """
    home = None if config.database_url else Home(config.home)
    with open_database(config) as database:
        if home is not None:
            upgrade(database.url)
        kept = read_json(home.demo).get("password") if home and not should_reset_password else None
        password = kept or secrets.token_urlsafe(9)
        if home is not None:  # early, so that a kill cannot lose it; no start shows it without is_seeded
            _keep(home, password, is_seeded=False)
        settings = Settings(database_url=database.url, home=config.home)
        seeded = asyncio.run(
            seed(
                settings,
                password,
                should_reset_password=should_reset_password,
                more_leads=more_leads,
                progress=progress,
            )
        )
        if home is not None:
            if seeded.is_password_right:
                _keep(home, password, is_seeded=True)
            elif read_json(home.demo).get("password") == password:  # not what another call has just made
                home.demo.unlink(missing_ok=True)
    return _report(seeded, password)


def _keep(home: Home, password: str, *, is_seeded: bool) -> None:
    login: dict[str, str | bool] = {"email": OWNER.email, "password": password}
    write_private(home.demo, json.dumps(login | ({"is_seeded": True} if is_seeded else {})))


def _report(seeded: Seeded, password: str) -> str:
    if seeded.has_new_members or seeded.has_new_leads:
        news = f"made, with {LEADS} leads and {len(THREADS)} conversations"
    elif made := _added(seeded):
        news = f"is there already; {' and '.join(made)} were added"
    elif seeded.has_new_password:
        news = "is there already; its three logins have a new password"
    else:
        news = "is there already" + ("" if seeded.more_leads else "; nothing was made")
    if seeded.more_leads:
        news += f"; {seeded.more_leads:,} further leads were added"
    lines = [f"{WORKSPACE}: {news}."]
    lines += [f"  {login.role.lower():<9} {login.email}" for login in LOGINS]
    if seeded.is_password_right:
        return "\n".join([*lines, f"  {'password':<9} {password}"])
    lines.append(f"  {'password':<9} the one shown when it was made, which is not kept here; for a new one:")
    return "\n".join([*lines, f"  {'':<9} python3 -m app seed-demo --reset-password"])


def _added(seeded: Seeded) -> list[str]:
    made = {
        "mails": seeded.has_new_mails,
        "templates": seeded.has_new_templates,
        "automations": seeded.has_new_automations,
    }
    return [name for name, is_new in made.items() if is_new]


async def seed(
    settings: Settings,
    password: str,
    *,
    should_reset_password: bool = False,
    more_leads: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Seeded:
    """Makes what is missing. The password is that of the members this call makes, or of all three if asked."""
    settings = _with_secrets(settings)
    doors = Doors(settings)
    passwords = accounts_services(settings, doors).passwords
    try:
        await check_roles(doors)
        is_new = (workspace_id := await _find_workspace(doors)) is None
        if workspace_id is None:
            is_new = await _found_workspace(doors, settings, password)
            workspace_id = await _find_workspace(doors)
        assert workspace_id is not None
        made = {
            "has_new_members": is_new,
            "has_new_leads": await _add_leads(doors, workspace_id),
            "has_new_mails": await _add_mails(doors, settings, workspace_id),
            "has_new_templates": await _add_templates(doors, workspace_id),
            "has_new_automations": await _add_automations(doors, settings, workspace_id),
            "has_new_password": should_reset_password and not is_new,
        }
        if made["has_new_password"]:
            hashes = [await passwords.hash(password) for _ in LOGINS]
            await _set_passwords(doors, workspace_id, hashes)
        async with doors.open_system() as work:
            row = await work.fetch_one(FIND_HASH, email=OWNER.email)
        is_right = await passwords.verify(password, row["password_hash"] if row else None)
        more = await fill(doors, settings, workspace_id, more_leads, progress)
        return Seeded(**made, more_leads=more, is_password_right=is_right)
    finally:
        passwords.stop()
        await doors.close()


def _with_secrets(settings: Settings) -> Settings:
    """No token is issued here and no login stored, so the installation's own are not needed."""
    made_up = secrets.token_urlsafe(48)
    return settings.model_copy(
        update={
            "jwt_secret": settings.jwt_secret or made_up,
            "credential_keys": settings.credential_keys or (made_up,),
            "erasure_key": settings.erasure_key or made_up,
        }
    )


async def _set_passwords(doors: Doors, workspace_id: UUID, hashes: Sequence[str]) -> None:
    async with doors.open_system() as work:
        for login, password_hash in zip(LOGINS, hashes, strict=True):
            await work.fetch(
                SET_HASH, workspace_id=workspace_id, email=login.email, password_hash=password_hash
            )


async def _find_workspace(doors: Doors) -> UUID | None:
    async with doors.open_system() as work:
        row = await work.fetch_one(FIND_WORKSPACE, email=OWNER.email)
    return row["workspace_id"] if row else None


async def _found_workspace(doors: Doors, settings: Settings, password: str) -> bool:
    """False when another call has just done it."""
    accounts = accounts_services(settings, doors)
    try:
        hashes = [await accounts.passwords.hash(password) for _ in LOGINS]
        async with doors.open_system() as work:
            owner = await account_use_cases(work, accounts).create_account(
                NewAccount(
                    email=OWNER.email,
                    name=OWNER.name,
                    password_hash=hashes[0],
                    workspace_name=WORKSPACE,
                    locale=LOCALE,
                ),
                Caller("", ""),
            )
            await stage_use_cases(work).create_default_stages(owner.workspace_id, LOCALE)
            await score_rule_use_cases(work, settings).create_default_rules(owner.workspace_id)
            for login, password_hash in zip(LOGINS[1:], hashes[1:], strict=True):
                await work.fetch(
                    ADD_PERSON,
                    workspace_id=owner.workspace_id,
                    name=login.name,
                    email=login.email,
                    password_hash=password_hash,
                    locale=LOCALE,
                    role=login.role.value,
                )
        return True
    except Conflict:
        return False
    finally:
        accounts.passwords.stop()


async def _add_leads(doors: Doors, workspace_id: UUID) -> bool:
    """False when there are leads, or tags of ours: of two calls at once, the second meets the first's tags."""
    try:
        async with doors.open_work(workspace_id) as work:
            if await count_leads(work, workspace_id, LeadConditions()):
                return False
            await _write_leads(work, workspace_id, demo_leads(datetime.now(UTC)))
    except Conflict:
        return False
    return True


async def _add_mails(doors: Doors, settings: Settings, workspace_id: UUID) -> bool:
    """False too when one of the logins is a member no more: the threads are theirs."""
    async with doors.open_reads(workspace_id) as reads:
        rows = await reads.fetch(FIND_MEMBERS, workspace_id=workspace_id)
    ids = {row["email"]: row["user_id"] for row in rows}
    people = {login.email: ids[login.email] for login in LOGINS if login.email in ids}
    return len(people) == len(LOGINS) and await add_mails(doors, settings, workspace_id, people)


async def _add_templates(doors: Doors, workspace_id: UUID) -> bool:
    """False too when the owner is a member no more: the templates are theirs."""
    owner_id = await _owner(doors, workspace_id)
    return bool(owner_id and await add_demo_templates(doors, workspace_id, owner_id))


async def _add_automations(doors: Doors, settings: Settings, workspace_id: UUID) -> bool:
    """False too when the owner is a member no more: they give them leads."""
    owner_id = await _owner(doors, workspace_id)
    return bool(owner_id and await add_demo_automations(doors, settings, workspace_id, owner_id))


async def _owner(doors: Doors, workspace_id: UUID) -> UUID | None:
    async with doors.open_reads(workspace_id) as reads:
        rows = await reads.fetch(FIND_MEMBERS, workspace_id=workspace_id)
    return next((row["user_id"] for row in rows if row["email"] == OWNER.email), None)


async def _write_leads(work: Work, workspace_id: UUID, leads: Sequence[DemoLead]) -> None:
    tags = tag_use_cases(work, workspace_id)
    tag_ids = {name: await tags.create_tag(name=name, color=color) for name, color in TAGS.items()}
    stage_ids = [UUID(row["id"]) for row in await list_stages(work, workspace_id)]
    people = {
        row["email"]: row["user_id"] for row in await work.fetch(FIND_MEMBERS, workspace_id=workspace_id)
    }
    repository = LeadRepository(work)
    for lead in leads:
        await repository.add(
            workspace_id,
            lead.id,
            new_lead(lead.given, metadata=lead.metadata, region="BR"),
            stage_id=stage_ids[min(lead.stage, len(stage_ids) - 1)],
            owner_id=people.get(lead.owner) if lead.owner else None,
            tag_ids=[tag_ids[name] for name in lead.tags],
            source=lead.source,
            created_by=people[OWNER.email],
        )
    await work.fetch(
        DATE,
        workspace_id=workspace_id,
        ids=[lead.id for lead in leads],
        ats=[lead.created_at for lead in leads],
        engagements=[lead.engagement for lead in leads],
    )
    for source in SOURCES:
        work.announce(created([lead.id for lead in leads if lead.source is source], source))
