"""What every module stands on: doors to the database, the feed, due rows, the GraphQL conventions. It knows no module."""
