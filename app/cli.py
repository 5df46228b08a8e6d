"""The command line. Each command imports what it needs when it runs: `run` must answer fast, and `doctor`
must work where half of the rest does not."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.embedded.config import ROOT, read_config
from app.embedded.processes import EmbeddedError

cli = typer.Typer(
    name="salespad",
    no_args_is_help=True,
    add_completion=False,
    help="SalesPad: `run` starts everything, `test` tests everything, `doctor` says what is wrong.",
    pretty_exceptions_enable=False,
)

Host = Annotated[str | None, typer.Option(help="Address to listen on (SALESPAD_HOST).")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on (SALESPAD_PORT).")]
File = Annotated[Path, typer.Argument(help="The backup file.")]
PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True}


def main() -> None:
    from app.embedded.tether import tether

    tether()
    try:
        cli()
    except EmbeddedError as error:
        sys.exit(str(error))


@cli.command()
def run(host: Host = None, port: Port = None) -> None:
    """Start everything: database, Redis, API, worker. Ctrl-C stops it all."""
    from app.embedded.launch import run as launch

    raise typer.Exit(launch(read_config(host, port)))


cli.command(name="up", hidden=True)(run)


@cli.command(context_settings=PASS_THROUGH)
def test(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Also the long tests.")] = False,  # noqa: PT028
) -> None:
    """Run the tests on a private database and Redis; further arguments go to pytest."""
    from app.embedded.testing import run_tests

    raise typer.Exit(run_tests([*(["--full"] if full else []), *context.args]))


@cli.command()
def api(host: Host = None, port: Port = None) -> None:
    """Serve the API in this process (SALESPAD_DATABASE_URL must be set)."""
    from app.common.starting import refuse_missing_database, refuse_unreachable
    from app.embedded.serve import serve
    from app.settings import read_settings

    config, settings = read_config(host, port), read_settings()
    refuse_unreachable(refuse_missing_database(settings))
    serve(config.host, config.port)


@cli.command()
def worker() -> None:
    """Run the worker in this process (SALESPAD_DATABASE_URL must be set)."""
    os.execv(sys.executable, [sys.executable, "-m", "workers.main"])  # noqa: S606 - no shell is wanted


@cli.command()
def mailbox() -> None:
    """Run the local mailbox in this process (SALESPAD_MAILBOX_SMTP_URL and SALESPAD_DATABASE_URL must be set)."""
    import asyncio

    from app.channels.wiring import serve_local_mailbox
    from app.common.starting import refuse_missing_database
    from app.common.telemetry import configure_logging
    from app.settings import read_settings

    settings = read_settings()
    refuse_missing_database(settings)
    configure_logging(settings)
    asyncio.run(serve_local_mailbox(settings))


@cli.command(name="smtp-double")
def smtp_double(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any.")] = 0,
    log: Annotated[
        Path | None, typer.Option(help="Append a line for each mail it took to this file.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the rules with a share.")] = 0,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="Where it behaves otherwise, as 'rcpt * greylist 30'; repeatable."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No status lines meanwhile.")] = False,
) -> None:
    """An SMTP server to try sends on: takes everything, delivers nothing, misbehaves by rules.

    A rule is `stage recipients act`, perhaps with share=0.1 or times=3 after it.
    Stages: connect, ehlo, mail, rcpt, data, body, dot (nothing is kept yet), end (the mail is kept).
    Acts: an answer (550 5.1.1 No such user), wait 0.2, greylist 30, limit 100/60, drop, close, hang.
    """
    import asyncio

    from app.embedded.processes import why_not_free
    from app.embedded.smtp_double import SmtpDouble, serve
    from app.embedded.smtp_rules import BadRule, Rule, Rulebook

    try:
        rules = [Rule.parsed(text) for text in rule or ()]
    except BadRule as error:
        raise SystemExit(str(error)) from None
    if port and (refusal := why_not_free(port, "127.0.0.1")):
        raise SystemExit(refusal)
    asyncio.run(serve(SmtpDouble(Rulebook(rules, seed), log=log, port=port), should_tell=not quiet))


@cli.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    from app.common.migrations import upgrade
    from app.common.starting import refuse_unreachable
    from app.embedded.access import open_database

    config = read_config()
    with open_database(config) as database:
        if config.database_url:
            refuse_unreachable(database.url)
        upgrade(database.url)


@cli.command()
def schema(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 with the difference.")] = False,
) -> None:
    """Write the GraphQL schema to schema.graphql."""
    from app.graphql.schema import schema as strawberry_schema

    path, printed = ROOT / "schema.graphql", strawberry_schema.as_str().rstrip() + "\n"
    kept = path.read_text() if path.exists() else ""
    if not check:
        path.write_text(printed)
        return
    if kept == printed:
        return
    from difflib import unified_diff

    sys.stdout.writelines(
        unified_diff(kept.splitlines(True), printed.splitlines(True), "schema.graphql", "code")
    )
    raise SystemExit("schema.graphql is not what the code says: python3 -m app schema")


@cli.command()
def doctor() -> None:
    """Say what is wrong with this machine or this installation, and what to do."""
    from app.embedded.doctor import examine

    raise typer.Exit(examine(read_config()))


@cli.command(context_settings=PASS_THROUGH)
def psql(context: typer.Context) -> None:
    """Open psql on the database as its owner; further arguments go to psql."""
    from app.embedded.access import exec_psql

    exec_psql(read_config(), context.args)


@cli.command()
def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete the embedded servers' data and secrets."""
    from app.embedded.access import delete_data

    config = read_config()
    if not yes:
        typer.confirm(f"Delete everything in {config.home}?", abort=True)
    delete_data(config)


@cli.command()
def backup(file: File) -> None:
    """Write the whole database to FILE (PostgreSQL's custom format); works while SalesPad runs."""
    from app.embedded.backup import backup as write_backup

    write_backup(read_config(), file)


@cli.command()
def restore(file: File) -> None:
    """Read FILE into an empty database."""
    from app.embedded.backup import restore as read_backup

    read_backup(read_config(), file)


@cli.command(name="seed-demo")
def seed_demo(
    yes: Annotated[bool, typer.Option("--yes", help="Also where SALESPAD_ENV is production.")] = False,
    reset_password: Annotated[
        bool, typer.Option("--reset-password", help="Give the three logins a new password, and show it.")
    ] = False,
    leads: Annotated[
        int,
        typer.Option(min=0, max=500_000, help="So many further leads: to see how it feels when it is full."),
    ] = 0,
) -> None:
    """Make a workspace in Portuguese to look at: three logins, 300 leads, mails. Twice makes nothing twice."""
    config = read_config()
    if config.is_production and not yes:
        raise SystemExit("This is production: seed-demo --yes if a demo workspace is wanted here.")
    if config.database_url:
        from app.common.starting import refuse_unreachable

        refuse_unreachable(config.database_url)
    from app.demo.seeding import seed_demo as seed

    def progress(done: int) -> None:
        print(f"  {done:,} of {leads:,} leads", file=sys.stderr, flush=True)

    print(seed(config, should_reset_password=reset_password, more_leads=leads, progress=progress))


@cli.command(name="build-web")
def build_web() -> None:
    """Build the browser's files (GraphiQL, the app) where they are stale."""
    from app.embedded import web_assets

    try:
        if web_assets.is_stale():
            web_assets.build()
    except web_assets.BuildFailed as problem:
        raise SystemExit(
            f"{problem}\nGraphiQL is not built, all else runs. Mend that, then: python3 -m app build-web"
        ) from None


if __name__ == "__main__":
    main()
