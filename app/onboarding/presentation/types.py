"""GraphQL inputs of onboarding."""

import strawberry


@strawberry.input(description="A person and the workspace they found.")
class SignUpInput:
    email: str = strawberry.field(description="The address to sign in with.")
    password: str = strawberry.field(description="8 to 1,000 characters of any kind.")
    name: str = strawberry.field(description="What colleagues will see.")
    workspace_name: str = strawberry.field(description="Usually the company's name.")
    locale: str = strawberry.field(
        description="pt-BR or en: of the person, the workspace and its first stages.", default="pt-BR"
    )
    cookie: bool = strawberry.field(
        description="Put the refresh token into a cookie for POST /auth/refresh: for browsers.", default=False
    )
