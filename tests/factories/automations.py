"""Automations, through the API."""

from typing import Any

from tests.factories.accounts import Person

ACTIONS = """
  __typename
  ... on AddTagAction { tag { id name } }
  ... on RemoveTagAction { removed: tag { id name } }
  ... on MoveStageAction { stage { id name } }
  ... on AssignAction { user { id name } }
  ... on SendTemplateAction { template { id name deletedAt } account { id status } }
  ... on WaitAction { seconds }
  ... on AddNoteAction { body }
  ... on CallWebhookAction { url secret }"""
FIELDS = f"""id name enabled trigger noReplyAfterSeconds oncePerLead match conditions {{ field op value }}
  actions {{ {ACTIONS} }} version warnings"""
CREATE = f"""mutation ($input: CreateAutomationInput!) {{
  createAutomation(input: $input) {{ automation {{ {FIELDS} }} errors {{ code message path }} }} }}"""
UPDATE = f"""mutation ($input: UpdateAutomationInput!) {{
  updateAutomation(input: $input) {{ automation {{ {FIELDS} }} errors {{ code message path }} }} }}"""
SWITCH = f"""mutation ($input: SetAutomationEnabledInput!) {{
  setAutomationEnabled(input: $input) {{ automation {{ {FIELDS} }} errors {{ code message path }} }} }}"""
DELETE = """mutation ($input: AutomationIdInput!) {
  deleteAutomation(input: $input) { deletedIds errors { code message path } } }"""
LIST = f"{{ automations {{ {FIELDS} }} }}"
ONE = f"query ($id: ID!) {{ automation(id: $id) {{ {FIELDS} }} }}"
RUNS = """query ($id: ID!, $first: Int! = 20, $after: String) {
  automation(id: $id) { runs(first: $first, after: $after) {
    edges { cursor node {
      id status reason startedAt finishedAt waitsUntil lead { id name deletedAt }
      steps { position action result detail at } } }
    pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""
NOTE = {"addNote": "Ligar para este lead."}
HOOK = {"callWebhook": "https://hooks.example.com/salespad"}


async def create_automation(person: Person, **fields: Any) -> dict[str, Any]:
    """The payload; a rule that writes a note, unless something else is asked for."""
    given = {"name": "Regra", "trigger": "STAGE_CHANGED", "actions": [NOTE], **fields}
    return (await person.run(CREATE, {"input": given}))["createAutomation"]  # type: ignore[no-any-return]


async def automation(person: Person, **fields: Any) -> dict[str, Any]:
    """One that must not be refused."""
    payload = await create_automation(person, **fields)
    assert payload["errors"] == [], payload
    made: dict[str, Any] = payload["automation"]
    return made


async def update_automation(person: Person, **fields: Any) -> dict[str, Any]:
    return (await person.run(UPDATE, {"input": fields}))["updateAutomation"]  # type: ignore[no-any-return]


async def switch(person: Person, id: str, *, enabled: bool) -> dict[str, Any]:
    answer = await person.run(SWITCH, {"input": {"id": id, "enabled": enabled}})
    return answer["setAutomationEnabled"]  # type: ignore[no-any-return]


async def delete_automation(person: Person, id: str) -> dict[str, Any]:
    return (await person.run(DELETE, {"input": {"id": id}}))["deleteAutomation"]  # type: ignore[no-any-return]


async def the_automation(person: Person, id: str) -> dict[str, Any] | None:
    return (await person.run(ONE, {"id": id}))["automation"]  # type: ignore[no-any-return]


async def automations(person: Person) -> list[dict[str, Any]]:
    return (await person.run(LIST))["automations"]  # type: ignore[no-any-return]


async def runs(person: Person, id: str, **page: Any) -> dict[str, Any]:
    """A page of them."""
    found = (await person.run(RUNS, {"id": id, **page}))["automation"]
    return found["runs"]  # type: ignore[no-any-return]
