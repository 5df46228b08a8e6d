"""Who may be erased by whose word: the name or an address, written out by the administrator who does it."""

from collections.abc import Collection

from app.common.domain import Invalid, folded, normalized


def check_confirmation(given: str, known_as: Collection[str]) -> None:
    """Case and accents aside. Raises Invalid."""
    if folded(normalized(given)) not in {folded(normalized(one)) for one in known_as}:
        raise Invalid(
            "Write the lead's name, or one of its e-mail addresses, to confirm.", path=("confirmEmailOrName",)
        )
