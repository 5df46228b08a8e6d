"""What may be saved as a webhook's address may be called: the two read it alike."""

from hypothesis import given
from hypothesis import strategies as st

from app.automations.domain.webhook import clean_webhook
from app.common.domain import Invalid
from app.common.webhooks import Target

HOSTS = st.one_of(
    st.from_regex(r"[a-zA-Z0-9._\-é①ß]{1,80}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"),
)
PORTS = st.sampled_from(["", ":443", ":8443", ":0", ":99999", ":"])


@given(st.sampled_from(["https", "http", "HTTPS"]), HOSTS, PORTS, st.text(max_size=30))
def test_what_is_saved_can_be_called(scheme: str, host: str, port: str, rest: str) -> None:
    try:
        saved = clean_webhook(f"{scheme}://{host}{port}/{rest}")
    except Invalid:
        return
    target = Target.of(saved)
    assert saved.startswith(f"{target.scheme}://")
    assert target.host == target.host.lower()
    assert clean_webhook(saved) == saved
