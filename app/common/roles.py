"""The start-up check of the tenant wall: the app's role must be unable to walk around row-level security."""

from sqlalchemy import text

from app.common.work import Doors

ROLES = text(
    """
    SELECT r.rolname, r.rolsuper, r.rolbypassrls, EXISTS (
        SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind = 'r' AND c.relrowsecurity
    ) AS owns_tables
    FROM pg_roles r WHERE r.rolname IN ('sp_app', 'sp_system')
    """
)


async def check_roles(doors: Doors) -> None:
    """Raises SystemExit with what to do; Unavailable when the database cannot be asked."""
    async with doors.open_system() as system:
        rows = (await system.execute(ROLES)).all()
    if len(rows) != 2:
        raise SystemExit("The roles sp_app and sp_system are missing: run python3 -m app migrate.")
    for row in rows:
        if row.rolsuper or row.rolbypassrls or row.owns_tables:
            raise SystemExit(
                f"The role {row.rolname} is superuser, has BYPASSRLS or owns a tenant table: take that from it, "
                "or one workspace could read another's rows."
            )
