"""`run`: from nothing to an API that answers, and back to nothing.

Order: leftovers of a killed run, PostgreSQL and Redis, roles and database, migrations, API and worker, and
beside them the browser assets. Stops in the other order. One run owns a data directory at a time.
"""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from app.embedded import redis
from app.embedded.config import OFF, ROOT, Config, check_environment
from app.embedded.postgres import STOP_S, Cluster
from app.embedded.processes import (
    EmbeddedError,
    free_port,
    is_alive,
    keep_or_choose,
    mark,
    stop,
    why_not_free,
)
from app.embedded.state import AlreadyRunning, Home, Run, Secrets, read_json
from app.embedded.supervisor import Child, Supervisor, describe, exited, say, tail
from app.embedded.tether import LAUNCHER_PID

READY_S = 60.0
LEFTOVER_SIGNALS = {"postgres": signal.SIGINT}


def run(config: Config, launch: "type[Launch] | None" = None) -> int:
    """Run until a signal or a failure; the exit code. Never two at once on the same data."""
    check_environment(config)
    home = Home(config.home)
    try:
        home.prepare()
        with home.lock():
            return asyncio.run((launch or Launch)(config, home, home.load_secrets(), home.load_run()).run())
    except AlreadyRunning as other:
        say(f"SalesPad already runs on {home.root}: {other.url or 'it is just starting'}")
        return 1
    except EmbeddedError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


@dataclass
class Launch:
    config: Config
    home: Home
    secrets: Secrets
    state: Run

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.note_pid)
        self.started = time.monotonic()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(sent) is not signal.SIG_IGN or sent is not signal.SIGHUP:  # nohup means it
                loop.add_signal_handler(sent, self.interrupt)
        try:
            await self.start()
            await self.supervisor.stopping.wait()
        except EmbeddedError as error:
            self.supervisor.give_up(str(error))
        finally:
            await self.stop()
        if self.supervisor.reason:
            say(f"SalesPad stopped: {self.supervisor.reason}")
            return 1
        say("SalesPad stopped.")
        return 0

    def interrupt(self) -> None:
        """The first signal stops in order; a second one no longer waits for API and worker."""
        if self.supervisor.stopping.is_set():
            for child in self.supervisor.children:
                if child.process is not None and child.is_running and child.is_relayed:
                    child.process.kill()
            return
        say("stopping …")
        self.supervisor.stopping.set()

    async def stop(self) -> None:
        await self.supervisor.stop({"redis"}, {"postgres"})
        self.state.url, self.state.pids = "", {}
        self.home.save_run(self.state)

    async def start(self) -> None:
        await asyncio.to_thread(self.clear_leftovers)
        if not self.config.port:  # as `api --port 0`: any that is free
            self.config = replace(self.config, port=free_port())
        if reason := why_not_free(self.config.port, self.config.host):
            raise EmbeddedError(reason)
        self.state.url = self.config.url
        self.home.save_run(self.state)
        environment = self.environment()
        cluster = None if self.config.database_url else await self.start_postgres(environment)
        await self.start_redis(environment)
        if cluster is not None:
            await self.until_ready(cluster)
        await self.migrate(cluster, environment)
        self.choose_mailbox(environment)
        await self.start_api(environment)
        is_ready = await self.until_api_answers()
        await self.start_helpers(environment)
        self.tell(is_ready=is_ready)

    def environment(self) -> dict[str, str]:
        """What every child sees. In production secrets are given, never invented."""
        for name in ("SALESPAD_JWT_SECRET", "SALESPAD_CREDENTIAL_KEYS", "SALESPAD_ERASURE_KEY"):
            if self.config.is_production and not os.environ.get(name):
                raise EmbeddedError(
                    f"{name} is not set: production never makes its own (openssl rand -base64 48)."
                )
        return dict(os.environ) | {
            "SALESPAD_ENV": self.config.env,
            "SALESPAD_HOME": str(self.home.root),
            "SALESPAD_HOST": self.config.host,
            "SALESPAD_PORT": str(self.config.port),
            "SALESPAD_JWT_SECRET": self.config.jwt_secret or self.secrets.jwt_secret,
            "SALESPAD_CREDENTIAL_KEYS": os.environ.get("SALESPAD_CREDENTIAL_KEYS")
            or self.secrets.credential_key,
            "SALESPAD_ERASURE_KEY": os.environ.get("SALESPAD_ERASURE_KEY") or self.secrets.erasure_key,
            "SALESPAD_DATABASE_URL": self.config.database_url or "",
            "SALESPAD_REDIS_URL": self.config.redis_url or OFF,
            "PYTHONUNBUFFERED": "1",
            LAUNCHER_PID: str(os.getpid()),
        }

    def clear_leftovers(self) -> None:
        """Stop, by pid and start time, what a run that was killed left behind."""
        for name, known in self.state.pids.items():
            if is_alive(known):
                say(f"stopping {name} (process {known.pid}), left by a run that was killed")
            sent = LEFTOVER_SIGNALS.get(name, signal.SIGTERM)
            is_database = name == "postgres"
            last = signal.SIGQUIT if is_database else signal.SIGKILL
            stop(known, sent, grace_s=STOP_S if is_database else 4.0, last=last)
        self.state.pids = {}

    def note_pid(self, child: Child) -> None:
        known = mark(child.pid)
        if known is not None:
            self.state.pids[child.name] = known
            self.home.save_run(self.state)

    async def start_postgres(self, environment: dict[str, str]) -> Cluster:
        self.state.postgres_port = keep_or_choose(self.state.postgres_port)
        cluster = Cluster(
            self.home.postgres, self.home.log("postgres"), self.state.postgres_port, self.secrets
        )
        if not cluster.is_made:
            say("making the database (once)")
        await asyncio.to_thread(cluster.initialise)
        environment["SALESPAD_DATABASE_URL"] = cluster.url
        child = Child(
            "postgres",
            cluster.command(),
            cluster.log,
            os.environ,
            Path("/"),
            stop_signal=signal.SIGINT,
            stop_s=STOP_S,
            last_signal=signal.SIGQUIT,
            is_relayed=False,
            user=cluster.way.user_arguments,
            before_start=cluster.clear_leftover,
        )
        await self.supervisor.start(child)
        return cluster

    async def start_redis(self, environment: dict[str, str]) -> None:
        if self.config.redis_url:
            return
        server = await asyncio.to_thread(redis.find_server)
        if server is None:
            say("no Redis for this platform: one API process and one worker do everything by polling")
            return
        self.state.redis_port = keep_or_choose(self.state.redis_port)
        keeper = redis.Redis(
            server, self.home.redis, self.home.log("redis"), self.state.redis_port, self.secrets
        )
        environment["SALESPAD_REDIS_URL"] = keeper.url
        child = Child(
            "redis",
            keeper.command(),
            keeper.log,
            os.environ,
            Path("/"),
            stop_s=1.0,
            is_relayed=False,
            is_optional=True,
            before_start=keeper.prepare,
        )
        await self.supervisor.start(child)

    async def until_ready(self, cluster: Cluster) -> None:
        """Wait for PostgreSQL, then make role and database where missing."""
        child = next(child for child in self.supervisor.children if child.name == "postgres")
        deadline = time.monotonic() + READY_S
        while not cluster.is_ready(child.pid):
            if self.supervisor.stopping.is_set() or time.monotonic() > deadline:
                raise EmbeddedError(
                    self.supervisor.reason or f"PostgreSQL does not get ready:\n{tail(child)}"
                )
            await asyncio.sleep(0.01)
        await asyncio.to_thread(cluster.bootstrap)

    async def migrate(self, cluster: Cluster | None, environment: dict[str, str]) -> None:
        """Bring the schema up to date, in a child; skipped when these files already brought it there."""
        state = await asyncio.to_thread(migration_state, cluster)
        if state and state == self.state.migrated:
            return
        child = self.product("migrate", [sys.executable, "-m", "app", "migrate"], environment, is_once=True)
        await self.supervisor.start(child)
        assert child.process is not None
        code = await exited(child.process)
        if code:
            raise EmbeddedError(f"the migrations failed ({describe(code)}):\n{tail(child)}")
        self.state.migrated = await asyncio.to_thread(migration_state, cluster)
        self.home.save_run(self.state)

    async def start_api(self, environment: dict[str, str]) -> None:
        await self.supervisor.start(
            self.product("api", [sys.executable, "-m", "app.embedded.serve"], environment)
        )

    def choose_mailbox(self, environment: dict[str, str]) -> None:
        """Where the local mailbox will listen, known to all before any of them starts; production has none."""
        environment["SALESPAD_MAILBOX_SMTP_URL"] = ""
        self.state.mailbox_port = (
            None if self.config.is_production else keep_or_choose(self.state.mailbox_port)
        )
        if self.state.mailbox_port is not None:
            environment["SALESPAD_MAILBOX_SMTP_URL"] = f"smtp://127.0.0.1:{self.state.mailbox_port}"

    async def start_helpers(self, environment: dict[str, str]) -> None:
        """Worker, mailbox and browser assets, after the API: on a small machine they would delay its first answer."""
        if self.supervisor.stopping.is_set():
            return
        worker = [sys.executable, "-m", "app.embedded.tether", "workers.main"]
        if (ROOT / "workers" / "main.py").is_file():
            await self.supervisor.start(self.product("worker", worker, environment))
        if self.state.mailbox_port is not None:
            mailbox = self.product("mailbox", [sys.executable, "-m", "app", "mailbox"], environment)
            mailbox.is_optional = True
            await self.supervisor.start(mailbox)
        if (ROOT / "web" / "package.json").is_file() and not os.environ.get("SALESPAD_NO_WEB_BUILD"):
            build = [sys.executable, "-m", "app", "build-web"]
            await self.supervisor.start(self.product("web", build, environment, is_once=True))

    def product(
        self, name: str, command: list[str], environment: dict[str, str], *, is_once: bool = False
    ) -> Child:
        return Child(name, command, self.home.log(name), environment, ROOT, stop_s=3.5, is_once=is_once)

    async def until_api_answers(self) -> bool:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and not self.supervisor.stopping.is_set():
            if await answers(self.config):
                return True
            await asyncio.sleep(0.05)
        return False

    def tell(self, *, is_ready: bool) -> None:
        """The one block that says where everything is."""
        if self.supervisor.stopping.is_set():
            return
        if not is_ready:
            say(f"the API does not answer {self.config.url}/health/ready yet; see {self.home.log('api')}")
            return
        graphiql = f"  GraphiQL   {self.config.url}/graphql\n" if self.config.serves_graphiql else ""
        say(
            f"\nSalesPad is running (ready in {time.monotonic() - self.started:.1f} s)\n"
            f"  App        {self.config.url}\n"
            f"{graphiql}"
            f"{self.mailbox_line()}"
            f"{self.demo_login()}"
            f"  Data       {self.home.root}\n"
            f"  Logs       {self.home.logs}\n"
            f"  Stop       Ctrl-C, or kill {os.getpid()}\n"
        )

    def mailbox_line(self) -> str:
        """Where the mail ends that nobody connected a provider for; "" in production."""
        port = self.state.mailbox_port
        return f"  Mailbox    {self.config.url}/mailbox  (SMTP 127.0.0.1:{port})\n" if port else ""

    def demo_login(self) -> str:
        """The line of the block that says how to sign in to what seed-demo made; "" without it."""
        demo = {} if self.config.database_url else read_json(self.home.demo)
        return f"  Demo       {demo['email']}  {demo['password']}\n" if demo.get("is_seeded") else ""


def migration_state(cluster: Cluster | None) -> str:
    """Digest of the migration files and the revision the database says it has; "" where either is unknown."""
    if cluster is None:
        return ""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "migrations").rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    answer = cluster.psql("SELECT string_agg(version_num, ',') FROM alembic_version;")
    revision = answer.stdout.strip()
    return f"{digest.hexdigest()}:{revision}" if answer.returncode == 0 and revision else ""


async def answers(config: Config) -> bool:
    """Whether GET /health/ready says 200."""
    host = config.url.removeprefix("http://").rpartition(":")[0].strip("[]")
    with contextlib.suppress(OSError, TimeoutError):
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, config.port), 2)
        try:
            head = f"GET /health/ready HTTP/1.1\r\nHost: {host}:{config.port}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            status = await asyncio.wait_for(reader.readline(), 5)
            return b" 200 " in status
        finally:
            writer.close()
    return False
