"""Who belongs to a workspace and as what: who may change whose membership, and that an owner is always left."""

from dataclasses import dataclass

from app.common.domain import Actor, Conflict, Forbidden, NotFound, Role


class MemberNotFound(NotFound):
    def __init__(self) -> None:
        super().__init__("No such member: pick one of this workspace's members.", path=("userId",))


class NotYourWorkspace(NotFound):
    def __init__(self) -> None:
        super().__init__("You are not a member of such a workspace: ask its owner.", path=("workspaceId",))


class LastOwner(Conflict):
    def __init__(self, path: str) -> None:
        super().__init__("A workspace needs an owner: make somebody else owner first.", path=(path,))


class OwnersOnly(Forbidden):
    def __init__(self, path: str) -> None:
        super().__init__("Only an owner may make, change or remove an owner: ask one of them.", path=(path,))


def lesser(one: Role, other: Role) -> Role:
    return other if one.includes(other) else one


def role_over_members(actor: Actor) -> Role:
    """As what they may say who belongs here. An owner is made and unmade by people: what a stolen key did is over once
    the key is revoked, unless it could make itself one.
    """
    return lesser(actor.role, Role.ADMIN) if actor.is_api_key else actor.role


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a change of a membership turns on, held still until the commit."""

    acting: Role
    """Of who makes the change, as it is now: their token may be older."""
    role: Role
    """Of whom it concerns."""
    owners: int
    is_own: bool = False

    def check_change(self, role: Role) -> None:
        """Raises Forbidden, OwnersOnly, LastOwner."""
        self._check_admin()
        if self.acting is not Role.OWNER and Role.OWNER in (self.role, role):
            raise OwnersOnly("role" if role is Role.OWNER else "userId")
        self._check_owner_is_left("userId")

    def check_removal(self) -> None:
        """Raises Forbidden, OwnersOnly, LastOwner."""
        if not self.is_own:
            self._check_admin()
            if self.acting is not Role.OWNER and self.role is Role.OWNER:
                raise OwnersOnly("userId")
        self._check_owner_is_left("userId")

    def check_leaving(self) -> None:
        """Raises LastOwner."""
        self._check_owner_is_left("workspaceId")

    def _check_admin(self) -> None:
        if not self.acting.includes(Role.ADMIN):
            raise Forbidden(f"This needs the role ADMIN; you are {self.acting} by now. Ask an admin.")

    def _check_owner_is_left(self, path: str) -> None:
        if self.role is Role.OWNER and self.owners == 1:
            raise LastOwner(path)
