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
from app.analytics.presentation.queries import AnalyticsQuery
from app.automations.presentation.dry_run import DryRunMutation
from app.automations.presentation.mutations import AutomationsMutation
from app.automations.presentation.queries import (
    AutomationsQuery,
    load_automations,
    load_reasons,
    load_runs,
    load_steps,
    load_things,
    load_warnings,
)
from app.channels.presentation.limits import LimitsMutation, LimitsQuery, load_sent_today
from app.channels.presentation.mutations import ChannelsMutation
from app.channels.presentation.queries import ChannelsQuery, load_accounts
from app.common.graphql import BatchFunction
from app.common.scalars import SCALARS
from app.conversations.presentation.mutations import ConversationsMutation
from app.conversations.presentation.presence import PresenceMutation, PresenceSubscription
from app.conversations.presentation.queries import (
    ConversationsQuery,
    load_can_send,
    load_conversations,
    load_message_pages,
    load_messages,
)
from app.conversations.presentation.sending import SendingMutation
from app.conversations.presentation.subscriptions import ConversationsSubscription
from app.graphql.feed import FeedQuery, FeedSubscription
from app.graphql.limits import CheckedDocuments
from app.imports.presentation.mutations import ImportsMutation
from app.imports.presentation.queries import (
    ImportsQuery,
    load_failures,
    load_provenance,
    load_row_problems,
    load_tables,
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
from app.leads.presentation.scoring import ScoresMutation, ScoresQuery
from app.leads.presentation.selection import SelectionMutation
from app.leads.presentation.stages import StagesMutation
from app.leads.presentation.suppressions import SuppressionsMutation, SuppressionsQuery
from app.onboarding.presentation.mutations import OnboardingMutation
from app.outreach.presentation.audience import AudienceMutation, AudienceQuery
from app.outreach.presentation.mutations import OutreachMutation
from app.outreach.presentation.queries import OutreachQuery, load_pause_reasons
from app.outreach.presentation.subscriptions import OutreachSubscription
from app.people.presentation.erasing import ErasingMutation
from app.people.presentation.mutations import PeopleMutation
from app.people.presentation.queries import PeopleQuery, load_merges
from app.tags.presentation.mutations import TagsMutation
from app.tags.presentation.queries import TagsQuery
from app.templates.presentation.mutations import TemplatesMutation
from app.templates.presentation.queries import TemplatesQuery, load_templates


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
    ScoresQuery,
    ImportsQuery,
    ChannelsQuery,
    LimitsQuery,
    TemplatesQuery,
    ConversationsQuery,
    OutreachQuery,
    AudienceQuery,
    AutomationsQuery,
    PeopleQuery,
    AnalyticsQuery,
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
    ScoresMutation,
    RecordMutation,
    SelectionMutation,
    ErasingMutation,
    BoardMutation,
    StagesMutation,
    ImportsMutation,
    TemplatesMutation,
    ConversationsMutation,
    PresenceMutation,
    SendingMutation,
    ChannelsMutation,
    LimitsMutation,
    OutreachMutation,
    AudienceMutation,
    AutomationsMutation,
    DryRunMutation,
    PeopleMutation,
):
    pass


@strawberry.type(description="What can be followed.")
class Subscription(
    FeedSubscription,
    ImportsSubscription,
    ConversationsSubscription,
    OutreachSubscription,
    PresenceSubscription,
):
    pass


BATCHES: dict[str, BatchFunction] = {
    "leads": load_leads,
    "columns": load_columns,
    "column_counts": load_column_counts,
    "stage_changes": load_stage_changes,
    "provenance": load_provenance,
    "row_problems": load_row_problems,
    "import_failures": load_failures,
    "import_tables": load_tables,
    "timelines": load_timelines,
    "merges": load_merges,
    "conversations": load_conversations,
    "messages": load_message_pages,
    "can_send": load_can_send,
    "pause_reasons": load_pause_reasons,
    "messages_by_id": load_messages,
    "channel_accounts": load_accounts,
    "sent_today": load_sent_today,
    "templates": load_templates,
    "automations": load_automations,
    "automation_runs": load_runs,
    "automation_steps": load_steps,
    "automation_reasons": load_reasons,
    "automation_warnings": load_warnings,
    "automation_things": load_things,
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
