"""kill -9 of the worker while a mail of SalesPad's own goes out: it comes at least once, and its link is good."""

import re
from email import message_from_bytes
from email.policy import default

import pytest

from tests.factories.accounts import SIGN_IN
from tests.fixtures.graphql import post
from tests.fixtures.installation import Installation
from tests.fixtures.processes import eventually
from tests.fixtures.smtp import Hold, ScriptedSmtp

REQUEST = "mutation ($email: String!) { requestPasswordReset(input: {email: $email}) { ok } }"
RESET = """
mutation ($token: String!, $new: String!) {
  resetPassword(input: {token: $token, newPassword: $new}) { ok errors { message } }
}
"""
NEW = "an entirely other password"


@pytest.mark.xdist_group("system mail kills")
async def test_a_worker_killed_at_any_step_loses_no_reset() -> None:
    with ScriptedSmtp.started() as server:
        given = {"SALESPAD_SYSTEM_SMTP_URL": server.url, "SALESPAD_SYSTEM_MAIL_LEASE_S": "2"}
        async with Installation.started(apis=1, workers=0, redis=False, **given) as installation:
            worker = installation.new_worker()
            try:
                async with installation.new_person() as person:
                    assert (await person.run(REQUEST, {"email": person.email}))["requestPasswordReset"]["ok"]
                    for stage in (
                        "CONNECT",
                        "RCPT",
                        "END",
                    ):  # prepared; begun; the server has it, and did not say so
                        hold = server.then(stage, Hold())
                        await worker.start()
                        await eventually(hold.reached.is_set, what=stage)
                        await worker.kill()
                        hold.release()
                    await worker.start()

                    async def is_sent() -> bool:
                        (row,) = await installation.sql("SELECT status, sealed FROM system_mail")
                        return row["status"] == "sent" and row["sealed"] is None

                    await eventually(is_sent, what="the mail's end")
                    mails = [message_from_bytes(caught.content, policy=default) for caught in server.mails]
                    assert len(mails) == 2, "in doubt it is sent again"
                    assert len({mail["Message-ID"] for mail in mails}) == 1
                    bodies = [body for mail in mails if (body := mail.get_body(("plain",)))]
                    links = {re.findall(r"password-reset#(\S+)", body.get_content())[0] for body in bodies}
                    (token,) = links
                    answer = await person.run(RESET, {"token": token, "new": NEW})
                    assert answer["resetPassword"] == {"ok": True, "errors": []}
                    signing_in = {"input": {"email": person.email, "password": NEW}}
                    body = (await post(person.http, SIGN_IN, signing_in)).json()
                    assert body["data"]["signIn"]["session"]
            finally:
                if worker.process is not None:
                    await worker.stop()
