"""`signUp` and `createWorkspace`: a person, their workspace and its default stages, in one transaction.

Tables: none. Events: none. May use: accounts, leads, common.
"""
