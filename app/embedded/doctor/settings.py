"""The environment: every setting, the secrets, and what production needs beside them."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from app.embedded.config import Config
from app.embedded.doctor.finding import Finding

if TYPE_CHECKING:
    from app.settings import Settings


def check_settings(_config: Config) -> Iterator[Finding]:
    from pydantic import ValidationError

    from app.settings import Settings, name_problems

    try:
        settings = Settings.model_validate({})  # reads the environment, as Settings() does
    except ValidationError as error:
        for name, text in name_problems(error):
            yield Finding("settings", f"{name}: {text}", f"correct or unset {name}")
        return
    yield from judge_spelling({f"SALESPAD_{name.upper()}" for name in Settings.model_fields})
    yield from judge_secrets(settings)
    yield from judge_production(settings)
    yield Finding("settings", f"{settings.env} on {settings.host}:{settings.port}")


def judge_spelling(known: set[str]) -> Iterator[Finding]:
    """What is set, is no setting, and nearly is one."""
    for name in sorted(name for name in os.environ if name.startswith("SALESPAD_") and name not in known):
        for meant in get_close_matches(name, known, n=1, cutoff=0.9):
            yield Finding("settings", f"{name} is no setting, and does nothing", f"did you mean {meant}?")


def judge_secrets(settings: "Settings") -> Iterator[Finding]:
    """The first that is missing, short or well known."""
    from app.settings import looks_well_known

    secrets = [("SALESPAD_JWT_SECRET", settings.jwt_secret or "")]
    secrets += [("SALESPAD_PREVIOUS_JWT_SECRETS", secret) for secret in settings.previous_jwt_secrets]
    secrets += [("SALESPAD_CREDENTIAL_KEYS", key) for key in settings.credential_keys or ("",)]
    secrets += [("SALESPAD_ERASURE_KEY", settings.erasure_key or "")]
    for name, secret in secrets:
        is_weak = len(secret.encode()) < 32 or (settings.is_production and looks_well_known(secret))
        if (secret or settings.is_production) and is_weak:
            fix = "give it at least 32 random bytes: openssl rand -base64 48"
            yield Finding("settings", f"{name} is missing, short or well known", fix)
            return


def judge_production(settings: "Settings") -> Iterator[Finding]:
    """What a machine of one's own can do without, and other people's cannot."""
    if not settings.is_production:
        return
    if not settings.system_smtp_url:
        text = "no mail server: invitations and password resets wait, and reach nobody"
        yield Finding("mail out", text, "set SALESPAD_SYSTEM_SMTP_URL")
    if not settings.public_url:
        text = f"no public address: links in mails lead to {settings.base_url}"
        yield Finding("settings", text, "set SALESPAD_PUBLIC_URL to the address people type")
