"""Warnings of rules whose tag, stage, template, member or account has gone, in the reader's language."""

from typing import Any

from app.common.domain import Role
from app.common.work import Doors
from tests.factories.accounts import Person, add_member
from tests.factories.automations import NOTE, automation, automations, the_automation, update_automation
from tests.factories.board import stage_ids
from tests.factories.channels import connected, disconnect
from tests.factories.leads import new_tag
from tests.factories.templates import delete_template, template

DELETE_TAG = "mutation ($id: ID!) { deleteTag(input: {id: $id}) { errors { code } } }"
DELETE_STAGE = """mutation ($id: ID!, $into: ID!) {
  deleteStage(input: {id: $id, moveLeadsToStageId: $into}) { errors { code } } }"""
REMOVE = "mutation ($id: ID!) { removeMember(input: {userId: $id}) { errors { code } } }"
ENGLISH = 'mutation { updateProfile(input: {locale: "en"}) { errors { code } } }'


async def done(person: Person, mutation: str, **variables: Any) -> None:
    (payload,) = (await person.run(mutation, variables)).values()
    assert payload["errors"] == []


async def test_what_has_gone_is_told_at_its_place(ana: Person, doors: Doors) -> None:
    tag, kept = await new_tag(ana, "Some"), await new_tag(ana, "Fica")
    stages, bruno = await stage_ids(ana), await add_member(doors, ana, role=Role.MEMBER)
    letter, account = await template(ana), await connected(ana)
    made = await automation(
        ana,
        conditions=[
            {"field": "TAG_ID", "op": "NE", "value": kept},
            {"field": "STAGE_ID", "op": "EQ", "value": stages[2]},
        ],
        actions=[
            {"addTag": tag},
            {"removeTag": kept},
            {"moveStage": stages[2]},
            {"assign": str(bruno.user_id)},
            {"sendTemplate": {"templateId": letter["id"], "accountId": account["id"]}},
        ],
    )
    whole = await automation(ana, name="Whole", actions=[{"addTag": kept}])
    assert made["warnings"] == []
    await done(ana, DELETE_TAG, id=tag)
    await done(ana, DELETE_STAGE, id=stages[2], into=stages[0])
    await done(ana, REMOVE, id=str(bruno.user_id))
    assert (await delete_template(ana, letter["id"]))["errors"] == []
    assert (await disconnect(ana, account["id"]))["errors"] == []
    found = {one["id"]: one for one in await automations(ana)}
    assert found[made["id"]]["warnings"] == [
        "Condição 2: a etapa foi excluída, e não há com o que comparar. Escolha outra opção.",
        "Ação 1: a etiqueta foi excluída, e as execuções falham nela. Escolha outra opção.",
        "Ação 3: a etapa foi excluída, e as execuções falham nela. Escolha outra opção.",
        "Ação 4: o membro saiu do espaço de trabalho, e as execuções falham nela. Escolha outra opção.",
        "Ação 5: o modelo foi excluído, e as execuções falham nela. Escolha outra opção.",
        "Ação 5: a conta do canal está desconectada, e as execuções falham nela. Escolha outra opção.",
    ]
    assert found[whole["id"]]["warnings"] == []
    assert [
        one.get("tag", one.get("stage", one.get("user"))) for one in found[made["id"]]["actions"][::2]
    ] == [
        None,
        None,
        None,
    ]
    sends = found[made["id"]]["actions"][-1]
    assert sends["template"]["deletedAt"] is not None
    assert sends["account"]["status"] == "DISCONNECTED"
    await ana.run(ENGLISH)
    (first, *_) = (await the_automation(ana, made["id"]) or {})["warnings"]
    assert first == "Condition 2: its stage was deleted, so there is nothing to compare with. Choose another."


async def test_a_rule_with_a_gone_tag_can_be_renamed_and_mended(ana: Person) -> None:
    tag, other = await new_tag(ana, "Some"), await new_tag(ana, "Outra")
    made = await automation(ana, actions=[{"addTag": tag}])
    await done(ana, DELETE_TAG, id=tag)
    renamed = await update_automation(ana, id=made["id"], version=1, name="Ainda")
    assert (renamed["errors"], len(renamed["automation"]["warnings"])) == ([], 1)
    kept = await update_automation(ana, id=made["id"], version=2, actions=[NOTE, {"addTag": tag}])
    assert (kept["errors"], len(kept["automation"]["warnings"])) == ([], 1)
    mended = await update_automation(ana, id=made["id"], version=3, actions=[{"addTag": other}])
    assert (mended["errors"], mended["automation"]["warnings"]) == ([], [])
