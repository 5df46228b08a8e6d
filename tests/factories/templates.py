"""Templates and snippets, through the API."""

import secrets
from typing import Any

from tests.factories.accounts import Person

FIELDS = "id name channel subject body variables required version deletedAt"
CREATE = f"""mutation ($input: CreateTemplateInput!) {{
  createTemplate(input: $input) {{ template {{ {FIELDS} }} errors {{ code message path }} }} }}"""
UPDATE = f"""mutation ($input: UpdateTemplateInput!) {{
  updateTemplate(input: $input) {{ template {{ {FIELDS} }} errors {{ code message path }} }} }}"""
DELETE = """mutation ($input: DeleteTemplateInput!) {
  deleteTemplate(input: $input) { deletedIds errors { code message path } } }"""
CREATE_SNIPPET = """mutation ($input: CreateSnippetInput!) {
  createSnippet(input: $input) { snippet { id shortcut body version } errors { code message path } } }"""
UPDATE_SNIPPET = """mutation ($input: UpdateSnippetInput!) {
  updateSnippet(input: $input) { snippet { id shortcut body version } errors { code message path } } }"""
DELETE_SNIPPET = """mutation ($input: DeleteSnippetInput!) {
  deleteSnippet(input: $input) { deletedIds errors { code message path } } }"""


async def create_template(person: Person, **fields: Any) -> dict[str, Any]:
    """The payload."""
    given = {"name": f"Template {secrets.token_hex(4)}", "body": "Hi {{ lead.name }}", **fields}
    return (await person.run(CREATE, {"input": given}))["createTemplate"]  # type: ignore[no-any-return]


async def template(person: Person, **fields: Any) -> dict[str, Any]:
    """A template that must not be refused."""
    payload = await create_template(person, **fields)
    assert payload["errors"] == [], payload
    made: dict[str, Any] = payload["template"]
    return made


async def update_template(person: Person, **fields: Any) -> dict[str, Any]:
    return (await person.run(UPDATE, {"input": fields}))["updateTemplate"]  # type: ignore[no-any-return]


async def delete_template(person: Person, id: str) -> dict[str, Any]:
    return (await person.run(DELETE, {"input": {"id": id}}))["deleteTemplate"]  # type: ignore[no-any-return]


async def create_snippet(person: Person, **fields: Any) -> dict[str, Any]:
    given = {"shortcut": f"s{secrets.token_hex(4)}", "body": "Hi", **fields}
    return (await person.run(CREATE_SNIPPET, {"input": given}))["createSnippet"]  # type: ignore[no-any-return]


async def update_snippet(person: Person, **fields: Any) -> dict[str, Any]:
    return (await person.run(UPDATE_SNIPPET, {"input": fields}))["updateSnippet"]  # type: ignore[no-any-return]


async def delete_snippet(person: Person, id: str) -> dict[str, Any]:
    return (await person.run(DELETE_SNIPPET, {"input": {"id": id}}))["deleteSnippet"]  # type: ignore[no-any-return]
