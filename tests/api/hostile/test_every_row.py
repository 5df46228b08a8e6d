"""No row of the table of hostile inputs goes missing."""

from types import FunctionType

from app.graphql.schema import schema
from tests import test_role_matrix, test_tenancy
from tests.api import test_websocket
from tests.api.feed import test_socket_ends
from tests.api.hostile import (
    cases,
    test_accounts_rows,
    test_csv_rows,
    test_data_rows,
    test_fault_rows,
    test_http,
    test_lookups,
    test_query_cost,
    test_sockets,
)

WANTED = {*range(1, 30), *range(32, 37), 38, 39, 40}
"""The others are of parts that are not there yet: webhooks of messengers and actions, drafts."""
CASES = cases.BODIES + cases.METHODS + cases.DOCUMENTS + cases.FRAMING + cases.PATHS + cases.ACCEPTS
ROWS = (test_accounts_rows.ROWS, test_csv_rows.ROWS, test_data_rows.ROWS, test_fault_rows.ROWS)
TESTS: dict[int, tuple[FunctionType, ...]] = {
    11: (test_query_cost.test_too_much_over_http_reaches_no_database,),
    12: (test_lookups.test_a_cursor_that_is_none_is_bad_input,),
    13: (test_lookups.test_what_is_not_there_is_null_whatever_it_is,),
    14: (test_tenancy.test_no_request_reaches_another_workspace,),
    15: (test_role_matrix.test_each_role_may_what_its_row_says_and_no_more,),
    16: (test_http.test_a_token_that_is_not_ours_is_told_nothing,),
    20: (test_http.test_other_sites_get_nothing_for_the_cookie,),
    26: (
        test_sockets.test_a_stranger_is_closed_with_a_code,
        test_websocket.test_a_message_of_a_wrong_shape_is_4400,
        test_websocket.test_a_second_init_is_4429,
    ),
    27: (test_sockets.test_a_bad_handshake_is_refused,),
    28: (
        test_websocket.test_no_init_within_3_s_is_4408,
        test_websocket.test_five_hundred_subscriptions_on_one_socket,
        test_socket_ends.test_it_is_closed_when_the_token_expires,
    ),
}
"""Those whose inputs are made by a test of their own."""


def test_every_row_is_played() -> None:
    numbers = {case.row for case in CASES} | {row.number for rows in ROWS for row in rows}
    assert numbers | TESTS.keys() == WANTED


def test_14_and_15_every_operation_is_tried_with_foreign_ids_and_by_every_role() -> None:
    graph = schema._schema
    everything = {
        name
        for root in (graph.query_type, graph.mutation_type, graph.subscription_type)
        if root is not None
        for name in root.fields
    }
    assert {operation.name for operation in test_tenancy.OPERATIONS} == everything
    assert {operation.name for operation in test_role_matrix.operations()} == everything
    assert test_role_matrix.LEAST.keys() >= everything
