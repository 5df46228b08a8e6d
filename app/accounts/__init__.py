"""Users, workspaces, members and their sessions: who somebody is and where they may work.

Tables: app_user, workspace, member, invitation, session, revocation, api_key, login_attempt, audit_event, system_mail.
Events: member.changed. May use: common.

A session is a family of refresh tokens, each good for one use. The access tokens minted from it are JWTs that
no request looks up: what was revoked is held in each process's memory, read by a poll (security.md 3.1).
"""
