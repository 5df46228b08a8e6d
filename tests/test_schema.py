"""The schema as a whole: its snapshot, its rules, its descriptions. Only the role table names single fields."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
    is_specified_scalar_type,
)

from app.common.domain import Role
from app.common.graphql import RULE, Rule
from app.graphql.schema import Mutation, Query, Subscription, schema

SNAPSHOT = Path(__file__).resolve().parents[1] / "schema.graphql"
ROOTS = (Query, Mutation, Subscription)

# The role table of the design, line by line: what it lets people do, who may at least, the root fields that do it.
ROLE_TABLE: dict[str, tuple[Role | None, frozenset[str]]] = {
    "open, go on with and end a session": (
        None,
        frozenset(
            {"signUp", "signIn", "refreshSession", "signOut"}
            | {"acceptInvitation", "requestPasswordReset", "resetPassword"}
        ),
    ),
    "own profile, password, sessions, read pointers, drafts; viewer, members; workspaces; presence": (
        Role.VIEWER,
        frozenset(
            {"viewer", "members", "presence", "setTyping", "markConversationRead", "saveDraft"}
            | {"updateProfile", "changePassword", "sessions", "revokeSession"}
            | {"switchWorkspace", "createWorkspace", "leaveWorkspace"}
        ),
    ),
    "read leads, tags, stages, board, imports, conversations, templates, dashboard, feed": (
        Role.VIEWER,
        frozenset(
            {"suppressions", "bulkSendRecipients", "scoreRules", "scoreReasons"}
            | {"tags", "stages", "board", "lead", "leads", "leadImport", "leadImports", "importProgress"}
            | {"feed", "feedCursor", "conversation", "conversations", "messageAdded"}
            | {"channelAccounts", "sendingDomains", "bulkChange", "duplicates"}
            | {"template", "templates", "renderTemplate", "templateSamples", "previewTemplate", "snippets"}
            | {"bulkSend", "bulkSends", "bulkSendProgress"}
            | {"automation", "automations"}
            | {"dashboard"}
        ),
    ),
    "leads, tags, notes, imports, merge, export, suppress": (
        Role.MEMBER,
        frozenset(
            {"createTag", "updateTag", "deleteTag", "createLead", "importLeads", "addNote", "suppress"}
            | {"changeLeads", "leadsExportUrl"}
            | {"updateLead", "addIdentity", "removeIdentity", "deleteLeads", "restoreLeads", "tagLeads"}
            | {"mergeLeads", "unmergeLeads"}
            | {"moveLead"}
            | {"startCsvImport", "pauseImport", "resumeImport", "cancelImport", "undoImport"}
        ),
    ),
    "conversations, messages, templates, snippets, bulk sends": (
        Role.MEMBER,
        frozenset(
            {"planBulkSend"}
            | {"startConversation", "assignConversation", "snoozeConversation", "closeConversation"}
            | {"reopenConversation", "sendMessage", "cancelMessage", "resendMessage"}
            | {"createTemplate", "updateTemplate", "deleteTemplate"}
            | {"createSnippet", "updateSnippet", "deleteSnippet"}
            | {"createBulkSend", "updateBulkSend", "launchBulkSend"}
            | {"pauseBulkSend", "resumeBulkSend", "cancelBulkSend"}
        ),
    ),
    "lift a suppression, erase, stages, fields, automations, channels, members, keys, audit": (
        Role.ADMIN,
        frozenset(
            {"connectEmail", "updateChannelAccount", "disconnectChannelAccount", "setSendingDomainLimit"}
            | {"changeMemberRole", "removeMember", "auditEvents", "createApiKey", "revokeApiKey", "apiKeys"}
            | {"liftSuppression", "eraseLead", "saveScoreRules"}
            | {"inviteMember", "revokeInvitation", "invitations"}
            | {"createStage", "updateStage", "moveStage", "deleteStage"}
            | {"createAutomation", "updateAutomation", "setAutomationEnabled", "deleteAutomation"}
            | {"dryRunAutomation"}
        ),
    ),
    "the workspace itself, its owner, billing": (Role.OWNER, frozenset({"updateWorkspace"})),
}
EXTENSION_MAY = frozenset(
    {"viewer", "tags", "stages", "importLeads", "leadImport", "leadImports", "importProgress"}
    | {"feed", "feedCursor"}
)
"""What a session of the browser extension may use; signing in and out comes before any session."""

NO_KEY_MAY = frozenset(
    {"updateProfile", "changePassword", "sessions", "revokeSession", "switchWorkspace", "createWorkspace"}
    | {"leaveWorkspace", "createApiKey", "markConversationRead", "saveDraft", "presence", "setTyping"}
)
"""A person's own matters: what no API key may use, whatever its role."""

SHARED_INPUTS = {
    "deleteLeads": "LeadIdsInput",
    "restoreLeads": "LeadIdsInput",
    "launchBulkSend": "BulkSendIdInput",
    "pauseBulkSend": "BulkSendIdInput",
    "resumeBulkSend": "BulkSendIdInput",
    "cancelBulkSend": "BulkSendIdInput",
    "pauseImport": "ImportIdInput",
    "resumeImport": "ImportIdInput",
    "cancelImport": "ImportIdInput",
    "undoImport": "ImportIdInput",
    "removeIdentity": "IdentityIdInput",
    "leaveWorkspace": "SwitchWorkspaceInput",
    "liftSuppression": "SuppressionIdInput",
    "removeMember": "MemberInput",
    "revokeApiKey": "ApiKeyInput",
    "revokeSession": "SessionInput",
    "deleteAutomation": "AutomationIdInput",
}
"""Where the contract gives a mutation an input that is not called after it."""


def own_types() -> Iterator[GraphQLNamedType]:
    for name, type_ in schema._schema.type_map.items():
        if not name.startswith("__") and not is_specified_scalar_type(type_):
            yield type_


def root_fields() -> dict[str, Any]:
    """Strawberry's fields by their names in the schema."""
    converter = schema.config.name_converter
    return {
        converter.from_field(field): field
        for root in ROOTS
        for field in root.__strawberry_definition__.fields  # type: ignore[attr-defined]
    }


def rule_of(field: Any) -> Rule:
    rule = field.metadata.get(RULE)
    assert isinstance(rule, Rule), f"{field.python_name} has no rule: use @query, @mutation, …"
    return rule


def places(type_: GraphQLNamedType) -> Iterator[tuple[str, Any]]:
    """The type, its fields, their arguments, its values: all that takes a description."""
    yield type_.name, type_
    if isinstance(type_, GraphQLEnumType):
        for name, value in type_.values.items():
            yield f"{type_.name}.{name}", value
    if isinstance(type_, GraphQLObjectType | GraphQLInputObjectType):
        for name, field in type_.fields.items():
            yield f"{type_.name}.{name}", field
            for argument_name, argument in getattr(field, "args", {}).items():
                yield f"{type_.name}.{name}({argument_name})", argument


def test_the_snapshot_is_what_the_code_says() -> None:
    assert SNAPSHOT.read_text() == schema.as_str().rstrip() + "\n", "write it: python3 -m app schema"


@pytest.mark.parametrize("root", ROOTS)
def test_no_root_field_is_defined_by_two_mixins(root: type) -> None:
    """Strawberry keeps one of the two and says nothing."""
    defined = Counter(
        field.python_name
        for mixin in root.__bases__
        for field in mixin.__strawberry_definition__.fields  # type: ignore[attr-defined]
    )
    assert {name: times for name, times in defined.items() if times > 1} == {}


def test_no_type_is_defined_twice() -> None:
    """Two classes of one name: the schema has one of them."""
    classes: dict[str, set[type]] = {}
    for type_ in own_types():
        definition = (type_.extensions or {}).get("strawberry-definition")
        origin = getattr(definition, "origin", None) or getattr(definition, "wrapped_cls", None)
        if origin is not None:
            classes.setdefault(type_.name, set()).add(origin)
    assert {name: found for name, found in classes.items() if len(found) > 1} == {}


def test_every_root_field_has_the_rule_of_its_line_in_the_role_table() -> None:
    fields = root_fields()
    lines = Counter(name for _, names in ROLE_TABLE.values() for name in names)
    assert set(fields) == set(lines), "each root field stands in the role table"
    assert max(lines.values()) == 1, "each root field stands in one line"
    least = {name: role for role, names in ROLE_TABLE.values() for name in names}
    assert {name: rule_of(field).role for name, field in fields.items()} == least


def test_an_extension_may_do_what_the_role_table_says() -> None:
    allowed = {name for name, field in root_fields().items() if rule_of(field).extension}
    assert allowed == EXTENSION_MAY


def test_an_api_key_may_not_what_is_a_persons_own() -> None:
    personal = {name for name, field in root_fields().items() if rule_of(field).personal}
    assert personal == NO_KEY_MAY & root_fields().keys()


def test_everything_is_described() -> None:
    bare = [place for type_ in own_types() for place, thing in places(type_) if not thing.description]
    assert bare == []


def test_mutations_take_one_input_and_return_a_payload_with_errors() -> None:
    for name, field in schema._schema.mutation_type.fields.items():  # type: ignore[union-attr]
        assert set(field.args) <= {"input"}, f"{name} takes one input"
        if "input" in field.args:
            input_type = field.args["input"].type
            assert isinstance(input_type, GraphQLNonNull), f"{name}'s input is required"
            # What needs no more than an id shares the input of its thing.
            by_id = str(field.type).replace("Payload!", "IdInput")
            own = SHARED_INPUTS.get(name, f"{name[0].upper()}{name[1:]}Input")
            assert str(input_type.of_type) in (own, by_id)
        assert isinstance(field.type, GraphQLNonNull), f"{name}'s payload is never null"
        payload = field.type.of_type
        assert payload.name.endswith("Payload")
        assert str(payload.fields["errors"].type) == "[UserError!]!"


def test_no_list_holds_null() -> None:
    nullable = [
        f"{place}: {thing.type}"
        for type_ in own_types()
        for place, thing in places(type_)
        if hasattr(thing, "type") and _has_nullable_items(thing.type)
    ]
    assert nullable == []


def _has_nullable_items(type_: Any) -> bool:
    if isinstance(type_, GraphQLNonNull):
        return _has_nullable_items(type_.of_type)
    if not isinstance(type_, GraphQLList):
        return False
    return not isinstance(type_.of_type, GraphQLNonNull) or _has_nullable_items(type_.of_type)


def test_the_only_scalars_of_our_own_are_date_time_and_json() -> None:
    scalars = {type_.name for type_ in own_types() if isinstance(type_, GraphQLScalarType)}
    assert scalars == {
        "DateTime",
        "JSON",
    }


def test_ids_are_ids() -> None:
    """What names a thing is of the type ID: the probe of test_tenancy.py finds its slots by it."""
    strings = [
        place
        for type_ in own_types()
        for place, thing in places(type_)
        if isinstance(type_, GraphQLInputObjectType | GraphQLObjectType)
        and (place.endswith((".id", "Id", "Ids", "Id)", "Ids)", "(id)", "(ids)", ".ids")))
        and get_named_type(thing.type).name != "ID"
    ]
    assert strings == []
