"""The few environment variables the launcher itself reads.

They are read here a second time, without `app.settings`, because importing pydantic costs half a second and
the launcher has no other use for it; a test holds names and defaults to those of `app.settings`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OFF = "off"
PRODUCTION = "production"
UNCHECKED = {f"SALESPAD_{name}" for name in ("HOME", "HOST", "PORT", "JWT_SECRET", "NO_WEB_BUILD")}
YES = ("1", "true", "t", "yes", "y", "on")  # pydantic's words for it
EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - recognised here, never chosen


@dataclass(frozen=True)
class Config:
    env: str = "development"
    home: Path = Path(".salespad")
    host: str = "127.0.0.1"
    port: int = 8000
    database_url: str | None = None
    redis_url: str | None = None
    jwt_secret: str | None = None
    graphiql: str | None = None

    @property
    def is_production(self) -> bool:
        return self.env == PRODUCTION

    @property
    def serves_graphiql(self) -> bool:
        return not self.is_production if self.graphiql is None else self.graphiql.lower() in YES

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.host in EVERY_ADDRESS else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def read_config(host: str | None = None, port: int | None = None) -> Config:
    """The environment's answer, with the command line's above it. `home` comes back absolute."""
    defaults = Config()
    port_text = os.environ.get("SALESPAD_PORT", "")
    try:
        env_port = int(port_text) if port_text else defaults.port
    except ValueError:
        raise SystemExit(f"SALESPAD_PORT is not a number: {port_text!r}") from None
    return Config(
        env=os.environ.get("SALESPAD_ENV", defaults.env),
        home=Path(os.environ.get("SALESPAD_HOME", defaults.home)).absolute(),
        host=host or os.environ.get("SALESPAD_HOST", defaults.host),
        port=env_port if port is None else port,
        database_url=os.environ.get("SALESPAD_DATABASE_URL") or None,
        redis_url=os.environ.get("SALESPAD_REDIS_URL") or None,
        jwt_secret=os.environ.get("SALESPAD_JWT_SECRET") or None,
        graphiql=os.environ.get("SALESPAD_GRAPHIQL"),
    )


def check_environment(config: Config) -> None:
    """What the API would refuse is refused before anything starts; `app.settings` is loaded only when something
    is set. Raises SystemExit with a line for each wrong variable.
    """
    is_set = {name for name in os.environ if name.startswith("SALESPAD_")}
    if is_set - UNCHECKED or not 0 <= config.port <= 65535:
        from app.settings import read_settings

        read_settings()
