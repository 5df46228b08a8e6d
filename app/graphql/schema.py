"""The root types: one import and one base class per module."""

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext

from app.accounts.presentation.api_keys import ApiKeysMutation, ApiKeysQuery
from app.accounts.presentation.invitations import InvitationsMutation, InvitationsQuery
from app.accounts.presentation.members import MembersMutation
from app.accounts.presentation.mutations import AccountsMutation
from app.accounts.presentation.own_sessions import OwnSessionsMutation, OwnSessionsQuery
from app.accounts.presentation.profile import ProfileMutation
from app.accounts.presentation.queries import AccountsQuery
from app.accounts.presentation.resets import ResetsMutation
from app.accounts.presentation.workspaces import WorkspacesMutation
from app.channels.presentation.mutations import ChannelsMutation
from app.channels.presentation.queries import ChannelsQuery, load_accounts
from app.common.graphql import BatchFunction
from app.common.scalars import SCALARS
from app.conversations.presentation.mutations import ConversationsMutation
from app.conversations.presentation.presence import PresenceMutation, PresenceSubscription
from app.conversations.presentation.queries import ConversationsQuery, load_conversations, load_message_pages
from app.conversations.presentation.sending import SendingMutation
from app.conversations.presentation.subscriptions import ConversationsSubscription
from app.graphql.feed import FeedQuery, FeedSubscription
from app.graphql.limits import CheckedDocuments
from app.imports.presentation.mutations import ImportsMutation
from app.imports.presentation.queries import (
    ImportsQuery,
    load_provenance,
    load_row_problems,
    load_timelines,
)
from app.imports.presentation.subscriptions import ImportsSubscription
from app.leads.presentation.board import (
    BoardMutation,
    BoardQuery,
    load_column_counts,
    load_columns,
    load_stage_changes,
)
from app.leads.presentation.bulk_changes import BulkChangesMutation, BulkChangesQuery
from app.leads.presentation.exports import LeadExportsQuery
from app.leads.presentation.mutations import LeadsMutation
from app.leads.presentation.queries import LeadsQuery, load_leads
from app.leads.presentation.record import RecordMutation
from app.leads.presentation.selection import SelectionMutation
from app.leads.presentation.stages import StagesMutation
from app.leads.presentation.suppressions import SuppressionsMutation, SuppressionsQuery
from app.onboarding.presentation.mutations import OnboardingMutation
from app.people.presentation.erasing import ErasingMutation
from app.people.presentation.mutations import PeopleMutation
from app.people.presentation.queries import PeopleQuery, load_merges
from app.tags.presentation.mutations import TagsMutation
from app.tags.presentation.queries import TagsQuery


@strawberry.type(description="What can be read.")
class Query(
    AccountsQuery,
    OwnSessionsQuery,
    InvitationsQuery,
    ApiKeysQuery,
    TagsQuery,
    LeadsQuery,
    SuppressionsQuery,
    BulkChangesQuery,
    BoardQuery,
    LeadExportsQuery,
    ImportsQuery,
    ChannelsQuery,
    ConversationsQuery,
    PeopleQuery,
    FeedQuery,
):
    pass


@strawberry.type(description="What can be done.")
class Mutation(
    OnboardingMutation,
    AccountsMutation,
    OwnSessionsMutation,
    ProfileMutation,
    MembersMutation,
    WorkspacesMutation,
    InvitationsMutation,
    ResetsMutation,
    ApiKeysMutation,
    TagsMutation,
    LeadsMutation,
    SuppressionsMutation,
    BulkChangesMutation,
    RecordMutation,
    SelectionMutation,
    ErasingMutation,
    BoardMutation,
    StagesMutation,
    ImportsMutation,
    ConversationsMutation,
    PresenceMutation,
    SendingMutation,
    ChannelsMutation,
    PeopleMutation,
):
    pass


@strawberry.type(description="What can be followed.")
class Subscription(FeedSubscription, ImportsSubscription, ConversationsSubscription, PresenceSubscription):
    pass


BATCHES: dict[str, BatchFunction] = {
    "leads": load_leads,
    "columns": load_columns,
    "column_counts": load_column_counts,
    "stage_changes": load_stage_changes,
    "provenance": load_provenance,
    "row_problems": load_row_problems,
    "timelines": load_timelines,
    "merges": load_merges,
    "conversations": load_conversations,
    "messages": load_message_pages,
    "channel_accounts": load_accounts,
}
"""What nested fields load, by the name their type asks for."""


class SalesPadSchema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Nothing here: the door logs what is ours and tells the rest (`errors.py`)."""


schema = SalesPadSchema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    extensions=[CheckedDocuments],
    config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
)
