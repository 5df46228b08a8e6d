import { graphql } from 'react-relay';

// A page of leads that loads more and can be fetched anew: Relay's conventions of connections and edges.
graphql`
  fragment LeadListRow_lead on Lead {
    id
    name
    email
    tags { id name color }
  }
`;
graphql`
  fragment LeadList_query on Query
  @refetchable(queryName: "LeadListPaginationQuery")
  @argumentDefinitions(first: { type: "Int", defaultValue: 20 }, after: { type: "String" }) {
    leads(first: $first, after: $after) @connection(key: "LeadList_leads") {
      feedCursor
      totalCount
      edges { node { id ...LeadListRow_lead } }
    }
  }
`;
graphql`
  query LeadListQuery { viewer { user { id name } workspace { id } } ...LeadList_query }
`;
graphql`
  mutation LeadListCreateTagMutation($input: CreateTagInput!) {
    createTag(input: $input) { tag { id name } errors { code message path } }
  }
`;
graphql`
  subscription LeadListFeedSubscription($after: String) {
    feed(after: $after) { cursor kind ids lead { ...LeadListRow_lead } }
  }
`;
