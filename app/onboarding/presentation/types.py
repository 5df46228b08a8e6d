"""GraphQL inputs of onboarding."""

import strawberry


@strawberry.input(description="A person and the workspace they found.")
class SignUpInput:
    email: str = strawberry.field(description="The address to sign in with.")
    password: str = strawberry.field(description="8 to 1,000 characters of any kind.")
    name: str = strawberry.field(description="What colleagues will see.")
    workspace_name: str = strawberry.field(description="Usually the company's name.")
    locale: str = strawberry.field(
        description="pt-BR or en: of the person, the workspace and its first stages. pt-BR begins with the time zone "
        "America/Sao_Paulo and phone numbers of BR, en with UTC and US: updateWorkspace changes them.",
        default="pt-BR",
    )
    cookie: bool = strawberry.field(
        description="Put the refresh token into a cookie for POST /auth/refresh: for browsers.", default=False
    )


@strawberry.input(description="A workspace to found.")
class CreateWorkspaceInput:
    name: str = strawberry.field(description="Usually the company's name.")
    locale: str | None = strawberry.field(
        description="pt-BR or en: of the workspace and its first stages; left out, the viewer's own.",
        default=None,
    )
    time_zone: str | None = strawberry.field(
        description="IANA name, such as America/Sao_Paulo; left out, the locale's usual one.", default=None
    )
