"""Every environment variable SalesPad reads, typed, with its unit and default.

Names in the environment are `SALESPAD_` + the field's name in capitals. README.md's table is made from this file and a
test holds the two together. Units stand in the names (`_s` seconds, `_bytes`).
"""

import re
from email.utils import parseaddr
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

OFF = "off"
DATABASE_SCHEMES = ("postgresql", "postgres")
REDIS_SCHEMES = ("redis", "rediss", "unix")
SMTP_SCHEMES = ("smtp", "smtps")

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*?#@]+")

WELL_KNOWN_SECRETS = frozenset(
    {"dev-secret-change-in-production", "changeme", "change-me", "secret", "your-256-bit-secret", "password"}
)


class Environment(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SALESPAD_", extra="ignore", frozen=True)

    env: Environment = Field(
        default=Environment.DEVELOPMENT,
        description="development, test or production; production refuses weak secrets",
    )
    home: Path = Field(
        default=Path(".salespad"),
        description="Folder of the embedded servers' data, secrets and the running state",
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on")
    port: int = Field(default=8000, ge=1, le=65535, description="Port the API listens on")
    database_url: str | None = Field(
        default=None, description="postgresql://…; set, it switches the embedded PostgreSQL off"
    )
    redis_url: str | None = Field(
        default=None,
        description="redis://…; set, it switches the embedded Redis off; `off` runs without Redis",
    )
    jwt_secret: str | None = Field(
        default=None,
        description="Signs access tokens, at least 32 bytes; the embedded default makes and keeps its own",
    )
    previous_jwt_secrets: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Comma-separated secrets that still verify tokens while keys rotate"
    )
    credential_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated keys of stored logins, each at least 32 bytes: the first encrypts, all "
        "decrypt; the embedded default makes and keeps its own",
    )
    erasure_key: str | None = Field(
        default=None,
        description="Hashes what erased people were recognised by, at least 32 bytes; never change it, or they may "
        "be imported again; the embedded default makes and keeps its own",
    )
    public_url: str | None = Field(
        default=None, description="Address people reach the app at; links and allowed origins come from it"
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated further origins whose browsers may open the websocket or call the API",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated further host names the API answers to, beside localhost, IP addresses and those "
        "of SALESPAD_PUBLIC_URL and SALESPAD_HOST",
    )
    graphiql: bool | None = Field(default=None, description="Serve GraphiQL; default: on, off in production")
    log_format: str | None = Field(default=None, description="json or console; default: json in production")
    log_level: str = Field(default="info", description="debug, info, warning or error")
    otel: bool = Field(
        default=False,
        description="Send traces (needs the extra `otel`); the OTEL_* variables say where to",
    )

    access_token_ttl_s: int = Field(default=600, ge=1, description="Life of an access token, seconds")
    refresh_token_ttl_s: int = Field(
        default=30 * 86_400, ge=60, description="Life of an unused refresh token, seconds (sliding)"
    )
    session_ttl_s: int = Field(
        default=90 * 86_400, ge=60, description="Life of a session however it is used, seconds"
    )
    refresh_grace_s: int = Field(
        default=10,
        ge=0,
        description="A rotated refresh token replayed within this time is two tabs, not a thief",
    )
    bcrypt_cost: int = Field(default=12, ge=4, le=15, description="bcrypt work factor")

    pool_size: int = Field(
        default=20, ge=1, description="Database connections a process holds at most (no overflow)"
    )
    system_pool_size: int = Field(
        default=4, ge=1, description="Further connections for what has no tenant yet"
    )
    pool_wait_s: float = Field(
        default=5, gt=0, description="Wait for a connection before the answer is UNAVAILABLE, seconds"
    )
    statement_timeout_s: float = Field(default=30, gt=0, description="PostgreSQL statement time-out, seconds")
    operation_timeout_s: float = Field(default=10, gt=0, description="Time-out of one API operation, seconds")
    sign_ups_per_hour: int = Field(
        default=60,
        ge=1,
        description="New accounts an address range (an IPv4 /24, an IPv6 /64); loopback has no limit",
    )
    default_score_rules: bool = Field(
        default=True, description="New workspaces begin with rules that score leads; false: with none"
    )
    web_requests_per_minute: int = Field(
        default=600, ge=1, description="Rate limit a user, web and API sessions"
    )
    extension_requests_per_minute: int = Field(
        default=100, ge=1, description="Rate limit a user, extension sessions"
    )

    files_dir: Path | None = Field(
        default=None,
        description="Folder of uploaded files, shared by all processes; default: files/ in the home",
    )
    upload_max_bytes: int = Field(default=25_000_000, ge=1, description="Largest upload, bytes")
    import_upload_max_bytes: int = Field(
        default=500_000_000, ge=1, description="Largest upload of a CSV or XLSX, bytes"
    )
    upload_ttl_s: int = Field(
        default=86_400,
        ge=1,
        description="An upload that nothing has used is deleted after this time, seconds",
    )
    file_link_ttl_s: int = Field(default=900, ge=1, description="Life of a signed link to a file, seconds")
    mailbox_smtp_url: str | None = Field(
        default=None, description="smtp:// address of the local mailbox; set by `run`, none in production"
    )
    system_smtp_url: str | None = Field(
        default=None,
        description="SMTP server of SalesPad's own mails (invitations, resets): smtps://user:password@host, or smtp:// "
        "for STARTTLS; default: the local mailbox, in production none",
    )
    system_mail_from: str | None = Field(
        default=None,
        description="Sender of SalesPad's own mails, such as SalesPad <no-reply@example.com>; default: no-reply at "
        "the host of the public URL",
    )
    system_mail_lease_s: float = Field(
        default=60,
        gt=0,
        description="Time a worker holds a mail of SalesPad's own before another may, seconds",
    )
    inbound_mail_max_bytes: int = Field(default=50_000_000, ge=1, description="Largest mail taken in, bytes")
    inbound_lease_s: float = Field(
        default=60,
        gt=0,
        description="Time a worker holds an inbound mail before another may take it, seconds",
    )
    delivery_lease_s: float = Field(
        default=60, gt=0, description="Time a worker holds a message to send before another may, seconds"
    )
    send_timeout_s: float = Field(
        default=20, gt=0, description="Wait for a provider's answer to one send, seconds; less than the lease"
    )
    send_claim_rows: int = Field(
        default=25,
        ge=1,
        le=1000,
        description="Messages of a bulk send that one lane of a worker takes at once; fewer where providers are slow: "
        "those that a killed worker had not begun wait for its lease",
    )
    imap_lease_s: float = Field(
        default=60, gt=0, description="Time a worker follows a mailbox before it says so again, seconds"
    )
    imap_poll_s: float = Field(default=60, gt=0, description="Poll of a mailbox behind IMAP's IDLE, seconds")

    worker_metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Port on which a worker serves its own Prometheus metrics; default: none",
    )
    poll_s: float = Field(
        default=2, gt=0, description="Poll behind every doorbell (feed and due rows), seconds"
    )
    import_lease_s: float = Field(
        default=15,
        gt=0,
        description="Time a worker holds an import before another may take it; each chunk renews it, seconds",
    )
    import_chunk_rows: int = Field(
        default=20_000,
        ge=1,
        description="Rows an import writes per transaction at most; fewer where they take long",
    )
    import_turn_s: float = Field(
        default=2, gt=0, description="Time a worker gives to one import before the next one's turn, seconds"
    )
    import_share: float = Field(
        default=1,
        ge=0.05,
        le=1,
        description="Share of the time that an import may work; less leaves more of the machine to people",
    )
    automation_runs_per_hour: int = Field(
        default=100_000,
        ge=1,
        description="Runs that one automation may start in an hour; past it they are skipped",
    )
    bulk_change_lease_s: float = Field(
        default=15,
        gt=0,
        description="Time a worker holds a change to many leads before another may take it, seconds",
    )
    bulk_change_chunk_leads: int = Field(
        default=5000, ge=1, description="Leads a change to many reaches per transaction"
    )
    score_sweep_lease_s: float = Field(
        default=60, gt=0, description="Time a worker holds a workspace's scores before another may, seconds"
    )
    score_sweep_chunk_leads: int = Field(
        default=2000, ge=1, description="Leads that a sweep of scores reaches per transaction"
    )
    bulk_send_lease_s: float = Field(
        default=15,
        gt=0,
        description="Time a worker holds a bulk send while it takes in its audience, seconds",
    )
    bulk_send_chunk_leads: int = Field(
        default=5000, ge=1, description="Leads a bulk send takes in per transaction"
    )
    webhook_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated networks that automations may call besides public addresses, by http or https "
        "and at any port, such as 127.0.0.0/8; for development and tests",
    )
    webhook_lease_s: float = Field(
        default=30,
        gt=5,
        description="Time a worker holds an automation's call before another may make it, seconds",
    )
    automation_lease_s: float = Field(
        default=30,
        gt=0,
        description="Time a worker holds runs of automations before another may take them, seconds",
    )
    automation_claim_runs: int = Field(
        default=500, ge=1, le=1000, description="Runs of automations a worker claims at once, to act together"
    )
    feed_ring_size: int = Field(
        default=1000, ge=1, description="Feed events a process keeps per live workspace"
    )
    socket_stuck_s: float = Field(
        default=30, gt=0, description="A client that takes nothing for this time is cut off, seconds"
    )
    presence_ttl_s: float = Field(
        default=15,
        gt=0,
        description="How long somebody stays online whose API process was killed, seconds",
    )
    share_execution: bool = Field(
        default=True,
        description="Execute a subscription's item once for all who get the same; off, once for each",
    )
    deleted_leads_ttl_s: float = Field(
        default=30 * 86_400,
        gt=0,
        description="How long a deleted lead can be restored; then its rows are deleted, seconds",
    )
    feed_resume_days: float = Field(default=7, gt=0, description="How far back a subscriber may resume, days")

    @field_validator(
        "previous_jwt_secrets", "allowed_origins", "allowed_hosts", "credential_keys", mode="before"
    )
    @classmethod
    def split_at_commas(cls, value: object) -> object:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("allowed_origins")
    @classmethod
    def know_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError("Name each origin exactly (https://app.example.com): no wildcard, no path")
        return value

    @field_validator("webhook_networks", mode="before")
    @classmethod
    def know_networks(cls, value: object) -> object:
        try:
            return tuple(ip_network(part.strip()) for part in str(value).split(",")) if value else ()
        except ValueError:
            raise ValueError("Name networks by their addresses, such as 127.0.0.0/8") from None

    @field_validator("database_url")
    @classmethod
    def know_database(cls, value: str | None) -> str | None:
        scheme, separator, _ = (value or "").partition("://")
        if value and not (separator and scheme.partition("+")[0] in DATABASE_SCHEMES):
            raise ValueError("It should begin with postgresql:// or postgres://")
        return value or None

    @field_validator("redis_url")
    @classmethod
    def know_redis(cls, value: str | None) -> str | None:
        scheme, separator, _ = (value or "").partition("://")
        if value and value != OFF and not (separator and scheme in REDIS_SCHEMES):
            raise ValueError("It should begin with redis://, rediss:// or unix://, or be `off`")
        return value or None

    @field_validator("system_smtp_url")
    @classmethod
    def know_smtp(cls, value: str | None) -> str | None:
        scheme, separator, _ = (value or "").partition("://")
        if value and not (separator and scheme in SMTP_SCHEMES):
            raise ValueError("It should begin with smtp:// or smtps://")
        return value or None

    @field_validator("system_mail_from")
    @classmethod
    def know_sender(cls, value: str | None) -> str | None:
        name, address = parseaddr(value or "")
        local_part, _, domain = address.rpartition("@")
        try:
            domain.encode("idna")
        except UnicodeError:
            domain = ""
        if value and not (local_part and domain and (name + address).isprintable()):
            raise ValueError("It should be an address, or a name and an address in angle brackets")
        return value or None

    @cached_property
    def is_production(self) -> bool:
        return self.env is Environment.PRODUCTION

    @cached_property
    def serves_graphiql(self) -> bool:
        return self.graphiql if self.graphiql is not None else not self.is_production

    @cached_property
    def redis_is_off(self) -> bool:
        return self.redis_url == OFF

    @cached_property
    def files_folder(self) -> Path:
        return (self.files_dir or self.home / "files").absolute()

    @cached_property
    def system_mail_url(self) -> str | None:
        """Where SalesPad's own mails go out; None: nowhere."""
        return self.system_smtp_url or self.mailbox_smtp_url

    @cached_property
    def system_mail_sender(self) -> str:
        host = urlsplit(self.base_url).hostname or "localhost"
        is_name = any(character.isalpha() for character in host) and ":" not in host
        return self.system_mail_from or f"SalesPad <no-reply@{host if is_name else 'localhost'}>"

    @cached_property
    def base_url(self) -> str:
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def read_settings() -> Settings:
    """The environment's settings. Raises SystemExit with a line for each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{name}: {text}. Correct it or unset it." for name, text in name_problems(error)]
    raise SystemExit("\n".join(lines))


def name_problems(error: ValidationError) -> list[tuple[str, str]]:
    """Each wrong variable, and what is wrong with it; its value may be a secret and is not shown."""
    return [
        ("SALESPAD_" + "_".join(map(str, one["loc"])).upper(), one["msg"].removeprefix("Value error, "))
        for one in error.errors()
    ]


def looks_well_known(secret: str) -> bool:
    lowered = secret.lower()
    return any(known in lowered for known in WELL_KNOWN_SECRETS) or len(set(secret)) < 8
