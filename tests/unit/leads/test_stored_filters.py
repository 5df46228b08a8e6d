"""A filter that is kept for later means the same then."""

import json

from hypothesis import given
from hypothesis import strategies as st

from app.leads.infrastructure.reads import LeadConditions
from app.leads.infrastructure.stored_filters import conditions_of, stored_filter


@given(st.from_type(LeadConditions))
def test_a_filter_comes_back_as_it_was(conditions: LeadConditions) -> None:
    """Made by the types of its fields: a new one is in it by itself."""
    stored = json.loads(json.dumps(stored_filter(conditions)))
    assert conditions_of(stored).values == conditions.values
    assert conditions_of(stored).used == conditions.used
