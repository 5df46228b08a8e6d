"""What somebody fills in to sign up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from app.accounts.domain.user import NewAccount, clean_email, clean_locale, clean_password
from app.common.domain import Refusals, SalesPadError, clean_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    email: str
    password: str
    name: str
    workspace_name: str
    locale: str

    @classmethod
    def checked(cls, *, email: str, password: str, name: str, workspace_name: str, locale: str) -> Self:
        """Every field cleaned. Raises Refusals, one for each field that cannot be taken."""
        refusals: list[SalesPadError] = []

        def clean(rule: Callable[[str, str], str], value: str, path: str) -> str:
            try:
                return rule(value, path)
            except SalesPadError as refusal:
                refusals.append(refusal)
                return ""

        registration = cls(
            email=clean(clean_email, email, "email"),
            password=clean(clean_password, password, "password"),
            name=clean(clean_text, name, "name"),
            workspace_name=clean(clean_text, workspace_name, "workspaceName"),
            locale=clean(clean_locale, locale, "locale"),
        )
        if refusals:
            raise Refusals(refusals)
        return registration

    def account(self, password_hash: str) -> NewAccount:
        return NewAccount(
            email=self.email,
            name=self.name,
            password_hash=password_hash,
            workspace_name=self.workspace_name,
            locale=self.locale,
        )
