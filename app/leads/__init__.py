"""Leads: the people a team sells to, how they can be reached, and the stages they go through.

Owns `lead`, `lead_identity`, `lead_tag`, `stage`, `interaction`, `suppression`, `score_rule`, `score_event`; announces
`lead.created` and `lead.updated`; uses accounts and tags.
An identity (an e-mail address, a phone number, a profile) belongs to at most one lead of a workspace: the UNIQUE
constraint on `lead_identity` is what every import and every inbound message relies on.
"""
