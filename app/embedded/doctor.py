"""`doctor`: what is wrong with this machine or installation, and what to do about it.

Each check stands alone and starts nothing; one that breaks is itself a finding. Exit code 1 when something is
wrong.
"""

import asyncio
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from app.embedded import redis
from app.embedded.config import OFF, ROOT, Config
from app.embedded.privileges import can_unshare, find_binaries
from app.embedded.processes import EmbeddedError, why_not_free
from app.embedded.state import Home, database_url, redis_url

if TYPE_CHECKING:
    import asyncpg

ENOUGH_BYTES = 1024**3
OWNER_ROLES = ("sp_app", "sp_system")
LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)

ROLES_SQL = """
SELECT r.rolname AS name, r.rolsuper OR r.rolbypassrls AS is_too_strong,
       pg_has_role(current_user, r.oid, 'SET') AS can_set
  FROM pg_roles r WHERE r.rolname IN ('sp_app', 'sp_system')
"""
KEPT_BACK_SQL = "SELECT count(*) FROM inbound_event WHERE status = 'failed'"


@dataclass(frozen=True)
class Finding:
    """A problem has a fix; what has none is well."""

    subject: str
    text: str
    fix: str = ""


def examine(config: Config) -> int:
    """Print every finding; the exit code."""
    problems = 0
    for finding in findings(config):
        problems += bool(finding.fix)
        print(f"{'problem' if finding.fix else 'ok':<8} {finding.subject:<11} {finding.text}")
        if finding.fix:
            print(f"{'':<20} fix: {finding.fix}")
    print(f"{problems} problem(s)." if problems else "Nothing is wrong.")
    return 1 if problems else 0


def findings(config: Config) -> Iterator[Finding]:
    checks: list[Callable[[Config], Iterator[Finding]]] = [
        check_python,
        check_packages,
        check_settings,
        check_user,
        check_binaries,
        check_folder,
        check_port,
        check_database,
        check_redis,
        check_web,
    ]
    for check in checks:
        subject = check.__name__.removeprefix("check_")
        try:
            yield from check(config)
        except EmbeddedError as error:
            yield Finding(subject, "not in order", str(error))
        except Exception as error:  # noqa: BLE001 - a doctor reports what it meets
            yield Finding(subject, f"the check itself failed: {error!r}", "look at the message, or report it")


def check_python(_config: Config) -> Iterator[Finding]:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.prefix}"
    yield Finding("python", text, "" if sys.version_info >= (3, 11) else "use Python 3.11 or newer")


def check_packages(_config: Config) -> Iterator[Finding]:
    """Installed versions against the lock; a package the lock leaves out on this platform is not missed."""
    lock = ROOT / "app" / "requirements.lock"
    if not lock.is_file():
        yield Finding("packages", "installed without a lock")
        return
    locked: dict[str, set[str]] = {}
    for name, version in LOCKED.findall(lock.read_text()):
        locked.setdefault(name, set()).add(version)
    installed = {
        str(found.name).lower().replace("_", "-"): found.version for found in metadata.distributions()
    }
    wrong = [
        f"{name} is {installed[name]}, not {' or '.join(versions)}"
        for name, versions in locked.items()
        if name in installed and installed[name] not in versions
    ]
    fix = "remove .venv and run the command again" if wrong else ""
    yield Finding("packages", "; ".join(wrong) or f"{len(locked)} as locked", fix)


def check_settings(_config: Config) -> Iterator[Finding]:
    from pydantic import ValidationError

    from app.settings import Settings, looks_well_known, name_problems

    try:
        settings = Settings.model_validate({})  # reads the environment, as Settings() does
    except ValidationError as error:
        for name, text in name_problems(error):
            yield Finding("settings", f"{name}: {text}", f"correct or unset {name}")
        return
    secrets = [("SALESPAD_JWT_SECRET", settings.jwt_secret or "")]
    secrets += [("SALESPAD_CREDENTIAL_KEYS", key) for key in settings.credential_keys or ("",)]
    for name, secret in secrets:
        is_weak = len(secret.encode()) < 32 or (settings.is_production and looks_well_known(secret))
        if (secret or settings.is_production) and is_weak:
            fix = "give it at least 32 random bytes: openssl rand -base64 48"
            yield Finding("settings", f"{name} is missing, short or well known", fix)
            return
    yield Finding("settings", f"{settings.env} on {settings.host}:{settings.port}")
    if settings.is_production and settings.system_mail_url is None:
        fix = "set SALESPAD_SYSTEM_SMTP_URL and SALESPAD_SYSTEM_MAIL_FROM"
        yield Finding("mail", "invitations and password resets cannot go out", fix)


def check_user(config: Config) -> Iterator[Finding]:
    if config.database_url:
        return
    if os.geteuid() != 0:
        yield Finding("user", f"ordinary user (uid {os.geteuid()})")
    elif can_unshare():
        yield Finding("user", "root; PostgreSQL runs in a user namespace")
    elif os.access("/var/lib", os.W_OK):
        yield Finding(
            "user", "root without user namespaces; PostgreSQL runs as nobody under /var/lib/salespad"
        )
    else:
        yield Finding("user", "root, and PostgreSQL refuses root", "start as an ordinary user")


def check_binaries(config: Config) -> Iterator[Finding]:
    if not config.database_url:
        binaries = find_binaries()
        fix = "set SALESPAD_DATABASE_URL to a PostgreSQL 18 or newer"
        if binaries is None:
            yield Finding("postgres", "no embedded PostgreSQL for this platform", fix)
        else:
            shown = subprocess.run(
                [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=False
            )
            broken = shown.returncode != 0
            yield Finding(
                "postgres", shown.stderr.strip() if broken else shown.stdout.strip(), fix if broken else ""
            )
    if not config.redis_url:
        server = redis.find_server()
        version = ".".join(map(str, redis.version_of(server))) if server else ""
        yield Finding(
            "redis",
            f"embedded {version}" if server else "none for this platform: everything works by polling",
        )


def check_folder(config: Config) -> Iterator[Finding]:
    existing = next(path for path in [config.home, *config.home.parents] if path.exists())
    free = shutil.disk_usage(existing).free
    fix = "" if free > ENOUGH_BYTES else "free some space, or set SALESPAD_HOME to a larger disk"
    yield Finding("disk", f"{free / 1024**3:.1f} GiB free at {existing}", fix)
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("data", f"{existing} cannot be written", "set SALESPAD_HOME to a folder you own")
        return
    if existing != config.home:
        yield Finding("data", f"{config.home} is made by the first run")
        return
    status = config.home.stat()
    if status.st_uid != os.geteuid():
        yield Finding(
            "data", f"{config.home} belongs to uid {status.st_uid}", f"chown -R {os.geteuid()} {config.home}"
        )
        return
    exposed = [path for path in [config.home, *secret_files(config.home)] if path.stat().st_mode & 0o066]
    names = ", ".join(map(str, exposed))
    yield Finding(
        "data",
        f"others may read {names}" if exposed else str(config.home),
        f"chmod go= {names}" if exposed else "",
    )


def secret_files(home: Path) -> list[Path]:
    return [
        path
        for path in (home / "secrets.json", home / "run.json", home / "redis" / "redis.conf")
        if path.exists()
    ]


def check_port(config: Config) -> Iterator[Finding]:
    home = Home(config.home)
    if home.is_locked():
        yield Finding("port", f"SalesPad is running: {home.load_run().url or 'starting'}")
    elif reason := why_not_free(config.port, config.host):
        text, _, fix = reason.removesuffix(".").rpartition(": ")
        yield Finding("port", text, fix)
    else:
        yield Finding("port", f"{config.port} is free")


def check_database(config: Config) -> Iterator[Finding]:
    url = config.database_url
    if not url:
        home = Home(config.home)
        if not home.is_locked():
            yield Finding("database", "embedded, not running")
            return
        port = home.load_run().postgres_port
        if not port:
            yield Finding("database", "embedded, still being made")
            return
        url = database_url(port, home.load_secrets().owner_password)
    yield from asyncio.run(ask_database(url))


async def ask_database(url: str) -> list[Finding]:
    import asyncpg

    scheme, _, rest = url.partition("://")
    try:
        connection = await asyncpg.connect(f"{scheme.partition('+')[0]}://{rest}", timeout=5)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        return [
            Finding("database", f"not reachable: {error!s}", "check SALESPAD_DATABASE_URL and that it is up")
        ]
    try:
        version = connection.get_server_version()
        is_old = version.major < 18
        found = [
            Finding(
                "database", f"PostgreSQL {version.major}.{version.micro}", "use 18 or newer" if is_old else ""
            )
        ]
        roles = await connection.fetch(ROLES_SQL)
        has_versions = await connection.fetchval("SELECT to_regclass('public.alembic_version') IS NOT NULL")
        rows = await connection.fetch("SELECT version_num FROM alembic_version") if has_versions else []
        found.extend(await count_kept_back(connection))
    finally:
        await connection.close(timeout=5)
    found.append(judge_migrations({str(row["version_num"]) for row in rows}))
    found.extend(
        judge_role(role["name"], is_too_strong=role["is_too_strong"], can_set=role["can_set"])
        for role in roles
    )
    missing = set(OWNER_ROLES) - {role["name"] for role in roles}
    if missing:
        found.append(
            Finding("roles", f"missing: {', '.join(sorted(missing))}", "run  python3 -m app migrate")
        )
    return found


async def count_kept_back(connection: "asyncpg.Connection[asyncpg.Record]") -> list[Finding]:
    """Mails that are in the database and not in the inbox: nothing is wrong, but nobody sees them elsewhere."""
    if not await connection.fetchval(
        "SELECT to_regclass('public.inbound_event') IS NOT NULL AND pg_has_role(current_user, 'sp_system', 'SET')"
    ):
        return []
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL ROLE sp_system")
        count = await connection.fetchval(KEPT_BACK_SQL)
    text = f"{count} could not be taken into the inbox: table inbound_event, status failed, has them as they came"
    return [Finding("mail in", text)] if count else []


def judge_migrations(applied: set[str]) -> Finding:
    from alembic.script import ScriptDirectory

    heads = set(ScriptDirectory(str(ROOT / "migrations")).get_heads())
    if applied == heads:
        return Finding("migrations", f"up to date ({', '.join(sorted(heads)) or 'none yet'})")
    text = f"database at {', '.join(sorted(applied)) or 'nothing'}, code at {', '.join(sorted(heads))}"
    return Finding("migrations", text, "run  python3 -m app migrate")


def judge_role(name: str, *, is_too_strong: bool, can_set: bool) -> Finding:
    if is_too_strong:
        return Finding(
            "roles", f"{name} passes by row-level security", f"ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS"
        )
    if not can_set:
        fix = f"as an administrator: GRANT {name} TO the database user WITH INHERIT FALSE, SET TRUE"
        return Finding("roles", f"we may not act as {name}", fix)
    return Finding("roles", f"{name} is in order")


def check_redis(config: Config) -> Iterator[Finding]:
    url = config.redis_url
    if url == OFF:
        yield Finding("redis", "off: everything works by polling")
        return
    home = Home(config.home)
    if not url:
        port = home.load_run().redis_port if home.is_locked() else None
        if not port:
            return
        url = redis_url(port, home.load_secrets().redis_password)
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        with Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
        yield Finding("redis", "answers")
    except (RedisError, ValueError) as error:
        yield Finding("redis", f"not reachable: {error}", "check SALESPAD_REDIS_URL, or set it to `off`")


def check_web(_config: Config) -> Iterator[Finding]:
    from app.embedded import web_assets

    reason = web_assets.failure()
    if reason:
        yield Finding("web", f"the last build failed: {reason.splitlines()[0]}", "python3 -m app build-web")
    elif web_assets.is_stale():
        yield Finding("web", "not built yet; the next run builds it")
    else:
        yield Finding("web", "built")
