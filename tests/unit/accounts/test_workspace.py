import pytest

from app.accounts.domain.user import PROFILE, cleaned
from app.accounts.domain.workspace import WORKSPACE, NewWorkspace, clean_phone_region, clean_time_zone
from app.common.domain import Invalid, Refusals


@pytest.mark.parametrize(
    "zone", ["America/Sao_Paulo", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "Asia/Kolkata"]
)
def test_a_time_zone_of_the_iana(zone: str) -> None:
    assert clean_time_zone(zone) == zone


@pytest.mark.parametrize(
    "zone",
    [
        *("", "america/sao_paulo", "Mars/Base", "../etc/passwd", "/etc/localtime", "America", "posix/UTC"),
        *("America/Sao_Paulo\n", "UTC\x00", "A" * 5000, "zone.tab", "America/../UTC", "-03:00"),
    ],
)
def test_no_time_zone(zone: str) -> None:
    with pytest.raises(Invalid) as refused:
        clean_time_zone(zone, "timeZone")
    assert refused.value.path == ("timeZone",)


def test_a_phone_region_is_a_country_with_numbers() -> None:
    assert [clean_phone_region(region) for region in ("BR", "US", "PT")] == ["BR", "US", "PT"]
    for region in ("", "br", "Brazil", "ZZ", "001", "BR\x00"):
        with pytest.raises(Invalid):
            clean_phone_region(region)


def test_what_is_left_out_of_a_new_workspace_follows_from_its_locale() -> None:
    named = {"name": "Acme"}
    assert NewWorkspace.of(**named, locale="pt-BR").time_zone == "America/Sao_Paulo"
    assert NewWorkspace.of(**named, locale="en").phone_region == "US"
    assert NewWorkspace.of(**named, locale="en", time_zone="Asia/Tokyo").time_zone == "Asia/Tokyo"


def test_each_field_that_was_given_is_cleaned_or_refused_in_its_place() -> None:
    assert cleaned({}, WORKSPACE) == {}
    assert cleaned({"name": " Acme "}, PROFILE) == {"name": "Acme"}
    with pytest.raises(Refusals) as refused:
        cleaned({"name": "", "locale": "fr", "time_zone": None, "phone_region": "?"}, WORKSPACE)
    assert [one.path for one in refused.value.refusals] == [
        ("name",),
        ("locale",),
        ("timeZone",),
        ("phoneRegion",),
    ]
