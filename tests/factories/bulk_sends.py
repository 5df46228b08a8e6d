"""Bulk sends through the API, with what they are made of."""

import secrets
from typing import Any

from tests.factories.accounts import Person
from tests.factories.channels import connected
from tests.fixtures.processes import eventually

COUNTS = "counts { eligible excluded queued sent failed unknown canceled replied bounced complained }"
FIELDS = f"""id name status pauseReason startAt ratePerMinute burst createdAt startedAt finishedAt {COUNTS}
  exclusions {{ reason count }} template {{ id name deletedAt }} account {{ id status }}"""
PAYLOAD = f"{{ bulkSend {{ {FIELDS} }} errors {{ code message path }} }}"
CREATE = f"mutation ($input: CreateBulkSendInput!) {{ createBulkSend(input: $input) {PAYLOAD} }}"
UPDATE = f"mutation ($input: UpdateBulkSendInput!) {{ updateBulkSend(input: $input) {PAYLOAD} }}"
MOVES = {
    name: f"mutation ($input: BulkSendIdInput!) {{ {name}BulkSend(input: $input) {PAYLOAD} }}"
    for name in ("launch", "pause", "resume", "cancel")
}
ONE = f"query ($id: ID!) {{ bulkSend(id: $id) {{ {FIELDS} }} }}"
ALL = f"{{ bulkSends {{ {FIELDS} }} }}"
CREATE_TEMPLATE = """
mutation ($input: CreateTemplateInput!) { createTemplate(input: $input) { template { id } errors { message } } }
"""
DELETE_TEMPLATE = "mutation ($id: ID!) { deleteTemplate(input: {id: $id}) { deletedIds errors { message } } }"
CREATE_LEAD = """
mutation ($input: CreateLeadInput!) { createLead(input: $input) { lead { id } errors { message } } }
"""


async def template(person: Person, body: str = "Hello {{ lead.name }}", **fields: Any) -> str:
    given = {"name": f"Offer {secrets.token_hex(4)}", "subject": "Offer", "body": body, **fields}
    answer = (await person.run(CREATE_TEMPLATE, {"input": given}))["createTemplate"]
    assert answer["errors"] == [], answer
    return str(answer["template"]["id"])


async def delete_template(person: Person, id: str) -> None:
    answer = (await person.run(DELETE_TEMPLATE, {"id": id}))["deleteTemplate"]
    assert answer["errors"] == [], answer


async def leads(person: Person, count: int, **fields: Any) -> list[str]:
    """With addresses, unless they are given otherwise."""
    made = []
    for n in range(count):
        given = {"name": f"Bia {n}", "email": f"bia{n}.{secrets.token_hex(5)}@lead.example", **fields}
        answer = (await person.run(CREATE_LEAD, {"input": given}))["createLead"]
        assert answer["errors"] == [], answer
        made.append(answer["lead"]["id"])
    return made


async def asked(person: Person, **input: Any) -> dict[str, Any]:
    """An input of createBulkSend, with a template and an account made for it where none are given."""
    return {
        "name": "October",
        "templateId": input.get("templateId") or await template(person),
        "accountId": input.get("accountId") or (await connected(person))["id"],
        "filter": {},
        "idempotencyKey": secrets.token_hex(8),
        **input,
    }


async def create(person: Person, input: dict[str, Any]) -> dict[str, Any]:
    """The payload."""
    return (await person.run(CREATE, {"input": input}))["createBulkSend"]  # type: ignore[no-any-return]


async def drafted(person: Person, **input: Any) -> dict[str, Any]:
    """The bulk send."""
    answer = await create(person, await asked(person, **input))
    assert answer["errors"] == [], answer
    return answer["bulkSend"]  # type: ignore[no-any-return]


async def update(person: Person, **input: Any) -> dict[str, Any]:
    return (await person.run(UPDATE, {"input": input}))["updateBulkSend"]  # type: ignore[no-any-return]


async def move(person: Person, how: str, id: str) -> dict[str, Any]:
    """The payload of launch, pause, resume or cancel."""
    return (await person.run(MOVES[how], {"input": {"id": id}}))[f"{how}BulkSend"]  # type: ignore[no-any-return]


async def moved(person: Person, how: str, id: str) -> dict[str, Any]:
    """The bulk send."""
    answer = await move(person, how, id)
    assert answer["errors"] == [], answer
    return answer["bulkSend"]  # type: ignore[no-any-return]


async def state(person: Person, id: str) -> dict[str, Any]:
    return (await person.run(ONE, {"id": id}))["bulkSend"]  # type: ignore[no-any-return]


async def until(person: Person, id: str, **expected: Any) -> dict[str, Any]:
    """The bulk send, once its fields are these; `counts` may name some of them."""
    last: dict[str, Any] = {}

    async def is_so() -> bool:
        last.update(await state(person, id))
        counts = expected.get("counts", {})
        return counts.items() <= last["counts"].items() and all(
            last[name] == value for name, value in expected.items() if name != "counts"
        )

    try:
        await eventually(is_so, what=f"{expected}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {last}") from None
    return last


def refusal(payload: dict[str, Any]) -> tuple[str, list[str]]:
    (error,) = payload["errors"]
    assert payload["bulkSend"] is None
    return error["code"], error["path"]
