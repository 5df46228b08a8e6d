"""What a process refuses to start on: no database, and secrets that anybody could guess."""

import asyncio

import asyncpg
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.common.database import asyncpg_url
from app.settings import Settings, looks_well_known

CONNECT_S = 10


def refuse_missing_database(settings: Settings) -> str:
    """Its address. Raises SystemExit with what to do."""
    if settings.database_url is None:
        raise SystemExit(
            "SALESPAD_DATABASE_URL is not set: give it a postgresql:// address, "
            "or use  python3 -m app run , which brings its own database."
        )
    return settings.database_url


def refuse_unreachable(database_url: str) -> None:
    """Stop where nobody can connect. Raises SystemExit with the reason."""
    try:
        engine = create_async_engine(asyncpg_url(database_url), connect_args={"timeout": CONNECT_S})
    except (ArgumentError, ValueError):  # its text may hold a part of the password
        raise SystemExit(
            "SALESPAD_DATABASE_URL cannot be read: write special characters in its password as %XX."
        ) from None
    try:
        asyncio.run(_connect(engine))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        said = (error.orig and error.orig.__cause__) or error.orig if isinstance(error, DBAPIError) else error
        reason = f"no answer in {CONNECT_S} s" if isinstance(said, TimeoutError) else str(said).rstrip(".")
        url = engine.url
        address = f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"
        raise SystemExit(
            f"The database does not answer at {address}: {reason}. Check SALESPAD_DATABASE_URL."
        ) from None


async def _connect(engine: AsyncEngine) -> None:
    try:
        async with engine.connect():
            pass
    finally:
        await engine.dispose()


def refuse_weak_secrets(settings: Settings) -> None:
    """Stop a start on a secret that is missing, short or well known.

    Short and missing ones are refused everywhere (the embedded default writes its own before the API starts);
    well-known ones in production. Raises SystemExit with what to do.
    """
    for name, secret in [
        ("SALESPAD_JWT_SECRET", settings.jwt_secret),
        *(("SALESPAD_PREVIOUS_JWT_SECRETS", previous) for previous in settings.previous_jwt_secrets),
    ]:
        _refuse_weak(settings, name, secret)
    refuse_weak_keys(settings)


def refuse_weak_keys(settings: Settings) -> None:
    """The same of the keys of stored logins and of erased people, which the worker needs as well."""
    for key in settings.credential_keys or ("",):
        _refuse_weak(settings, "SALESPAD_CREDENTIAL_KEYS", key)
    _refuse_weak(settings, "SALESPAD_ERASURE_KEY", settings.erasure_key)


def _refuse_weak(settings: Settings, name: str, secret: str | None) -> None:
    if not secret:
        raise SystemExit(f"{name} is not set: give it at least 32 random bytes (openssl rand -base64 48).")
    if len(secret.encode()) < 32 or (settings.is_production and looks_well_known(secret)):
        raise SystemExit(
            f"{name} is short or well known: give it at least 32 random bytes (openssl rand -base64 48)."
        )
