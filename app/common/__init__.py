"""What every module stands on: doors to the database, feed, due rows, GraphQL conventions. It knows no module."""
