"""What a tag is, and what may be refused."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.common.domain import Invalid
from app.tags.domain import MAX_TAG_NAME, PALETTE, Tag

ID = UUID(int=7)


def tag(name: str = "Feira", color: str | None = "#2563EB") -> Tag:
    return Tag.create(ID, name=name, color=color)[0]


def test_a_new_tag_is_clean_and_told() -> None:
    made, event = Tag.create(ID, name="  Feira ", color="#2563EB")
    assert (made.name, made.color) == ("Feira", "#2563eb")
    assert (event.name, list(event.entity_ids), list(event.changed)) == ("tag.changed", [ID], ["created"])


@pytest.mark.parametrize("name", ["", "   ", "n" * (MAX_TAG_NAME + 1), "a\x00b", "\ud83d"])
def test_a_name_that_cannot_be_stored_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        tag(name)
    assert refused.value.path == ("name",)


@pytest.mark.parametrize("color", ["", "red", "#12345", "#1234567", "#12345g", "#123456\n", "#１２３４５６"])
def test_a_color_is_rrggbb(color: str) -> None:
    with pytest.raises(Invalid) as refused:
        tag(color=color)
    assert refused.value.path == ("color",)


def test_case_and_accents_do_not_tell_names_apart() -> None:
    assert tag("AÇÃO").name_key == tag("acao").name_key == tag("Ac\u0327a\u0303o").name_key


@given(name=st.text(min_size=1, max_size=MAX_TAG_NAME))
def test_a_name_is_stable_and_has_always_the_same_color(name: str) -> None:
    try:
        made = tag(name, None)
    except Invalid:
        return
    assert tag(made.name, None) == made
    assert made.color in PALETTE


def test_a_change_says_what_changed() -> None:
    changed, event = tag().update({"name": "Expo"})
    assert changed == Tag(ID, "Expo", "#2563eb")
    assert event is not None
    assert list(event.changed) == ["name"]
    same, nothing = tag().update({"name": "Feira", "color": "#2563eb"})
    assert (same, nothing) == (tag(), None)


def test_a_color_set_to_null_goes_back_to_the_default() -> None:
    changed, _ = tag(color="#123456").update({"color": None})
    assert changed.color == tag(color=None).color
