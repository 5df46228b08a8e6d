"""`signUp` and `createWorkspace`: a person, their workspace, its default stages, rules of scores and starter
templates, in one transaction.

Tables: none. Events: none. May use: accounts, leads, templates, common.
"""
