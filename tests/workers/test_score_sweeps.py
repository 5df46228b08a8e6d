"""Every night points fade, and when rules change all leads are scored anew: a chunk a transaction, under one claim."""

from collections import Counter

import pytest

from app.common.leases import Claim, LostLease
from app.common.work import Doors
from app.leads.domain.events import LeadUpdated
from app.leads.domain.scoring import ScoreEventKind, ScoreRule
from app.leads.infrastructure.score_tables import score_sweeps
from app.leads.infrastructure.scores import reasons_of
from app.leads.wiring import postpone_sweep, sweep_scores
from app.settings import Settings
from tests.fixtures.score_desk import A_DAY_LATER, ScoreDesk

REPLY = ScoreRule(ScoreEventKind.MESSAGE_RECEIVED, None, 60, 7)
HAS_NAME = ScoreRule(ScoreEventKind.HAS_COMPANY, None, 50)
STATE = "SELECT * FROM score_sweep WHERE workspace_id = :workspace_id"
DUE_IN_S = (
    "SELECT extract(epoch FROM run_at - now())::int FROM score_sweep WHERE workspace_id = :workspace_id"
)
END_LEASE = (
    "UPDATE score_sweep SET lease_until = now() - interval '1 second' WHERE workspace_id = :workspace_id"
)


@pytest.fixture
async def scoring(own: tuple[Settings, Doors]) -> ScoreDesk:
    """Chunks of two leads."""
    settings, doors = own
    small = settings.model_copy(update={"score_sweep_chunk_leads": 2})
    return await ScoreDesk.with_rules(doors, small, REPLY)


async def chunk(desk: ScoreDesk, claim: Claim) -> bool:
    """One; whether it was the last."""
    stops = iter([False, True])
    return await sweep_scores(desk.doors, desk.settings, claim, lambda: next(stops))


async def taken_over(desk: ScoreDesk) -> Claim:
    """As if the worker that had it were dead."""
    await desk.sql(END_LEASE)
    async with desk.doors.open_system() as system:
        assert await score_sweeps.reap(system) == 1
    (claim,) = await desk.claim_sweep()
    return claim


async def test_points_fade_and_it_is_told(scoring: ScoreDesk) -> None:
    bia, ana = await scoring.lead(), await scoring.lead()
    await scoring.exchange(bia)
    await scoring.react()
    await scoring.next_day()
    assert (await scoring.scores(), await scoring.told()) == ({bia: 54, ana: 0}, [(bia, "+50")])
    await scoring.next_day()
    assert (await scoring.scores(), await scoring.told()) == ({bia: 49, ana: 0}, [(bia, "+50"), (bia, "−50")])
    await scoring.next_day(5)
    assert await scoring.scores() == {bia: 30, ana: 0}
    (reason,) = await scoring.reasons(bia)
    assert (reason.days, reason.gained, reason.kept) == (7, 60, 30)
    assert [one.entity_ids for one in await scoring.events()] == [[bia]] * 4


async def test_it_is_due_once_a_night(scoring: ScoreDesk) -> None:
    assert not await scoring.sweep()
    (state,) = await scoring.rows(STATE)
    assert (state.status, state.after_id, state.attempt, state.token) == ("WAITING", None, 0, None)
    assert 0 < await scoring.sql(DUE_IN_S) <= 26 * 3600 + 60


async def test_a_workspace_has_nights_of_its_own(scoring: ScoreDesk) -> None:
    """Within two hours after midnight by its clock."""
    for zone in ("America/Sao_Paulo", "Asia/Tokyo", "Pacific/Kiritimati"):
        await scoring.sql("UPDATE workspace SET time_zone = :zone WHERE id = :workspace_id", zone=zone)
        await scoring.save(REPLY)
        assert await scoring.sweep()
        minutes = await scoring.sql(
            "SELECT extract(epoch FROM (run_at AT TIME ZONE :zone)::time)::int / 60 FROM score_sweep "
            "WHERE workspace_id = :workspace_id",
            zone=zone,
        )
        assert 1 <= minutes <= 120
        assert await scoring.sql(
            "SELECT day = (now() AT TIME ZONE :zone)::date FROM score_sweep WHERE workspace_id = :workspace_id",
            zone=zone,
        )


async def test_new_rules_score_all_leads_and_tell_of_no_threshold(scoring: ScoreDesk) -> None:
    leads = [await scoring.lead(company="Acme") for _ in range(5)]
    await scoring.save(HAS_NAME)
    assert await scoring.sweep()
    assert await scoring.scores() == dict.fromkeys(leads, 50)
    assert await scoring.told() == []
    told = Counter(id for event in await scoring.events() for id in event.entity_ids)
    assert told == dict.fromkeys(leads, 1)
    await scoring.save()
    await scoring.sweep()
    assert await scoring.scores() == dict.fromkeys(leads, 0)


async def test_another_worker_goes_on_where_one_died(scoring: ScoreDesk) -> None:
    leads = [await scoring.lead(company="Acme") for _ in range(5)]
    await scoring.save(HAS_NAME)
    (first,) = await scoring.claim_sweep()
    assert not await chunk(scoring, first)
    second = await taken_over(scoring)
    with pytest.raises(LostLease):
        await chunk(scoring, first)
    assert sorted((await scoring.scores()).values()) == [0, 0, 0, 50, 50]
    assert await sweep_scores(scoring.doors, scoring.settings, second, lambda: False)
    assert await scoring.scores() == dict.fromkeys(leads, 50)
    told = Counter(id for event in await scoring.events() for id in event.entity_ids)
    assert told == dict.fromkeys(leads, 1)


async def test_rules_that_are_saved_during_a_sweep(scoring: ScoreDesk) -> None:
    """It begins anew, in the same hands."""
    leads = [await scoring.lead(company="Acme") for _ in range(5)]
    await scoring.save(HAS_NAME)
    (claim,) = await scoring.claim_sweep()
    assert not await chunk(scoring, claim)
    await scoring.save(ScoreRule(ScoreEventKind.HAS_COMPANY, None, 7))
    assert await sweep_scores(scoring.doors, scoring.settings, claim, lambda: False)
    assert await scoring.scores() == dict.fromkeys(leads, 7)


async def test_during_a_sweep_the_reasons_are_those_of_the_score(scoring: ScoreDesk) -> None:
    """Of who was gone through and who was not: each is of its day; so is who is scored meanwhile."""
    leads = [await scoring.lead() for _ in range(5)]
    for lead in leads:
        await scoring.exchange(lead)
    await scoring.react()
    await scoring.sql("UPDATE score_event SET at = at - interval '1 day' WHERE workspace_id = :workspace_id")
    await scoring.sql(
        "UPDATE score_sweep SET day = day - 1, last_day = last_day - 1, run_at = now() "
        "WHERE workspace_id = :workspace_id"
    )
    (claim,) = await scoring.claim_sweep()
    assert not await chunk(scoring, claim)
    assert sorted((await scoring.scores()).values()) == [54, 54, 60, 60, 60]
    await scoring.exchange(max(leads))
    await scoring.react()
    scores = await scoring.scores()
    assert scores[max(leads)] == 120
    for lead in leads:
        assert sum(one.kept for one in await scoring.reasons(lead)) == scores[lead]
    assert await sweep_scores(scoring.doors, scoring.settings, claim, lambda: False)
    assert sorted((await scoring.scores()).values()) == [54, 54, 54, 54, 114]


async def test_one_that_cannot_go_on_waits_for_the_next_night(scoring: ScoreDesk) -> None:
    await scoring.save(HAS_NAME)
    (claim,) = await scoring.claim_sweep()
    await postpone_sweep(scoring.doors, claim, "broken")
    (state,) = await scoring.rows(STATE)
    assert (state.status, state.error, state.token, state.attempt) == ("WAITING", "broken", None, 0)
    assert await scoring.sql(DUE_IN_S) > 0
    with pytest.raises(LostLease):
        await postpone_sweep(scoring.doors, claim, "broken")
    await scoring.next_day()
    (state,) = await scoring.rows(STATE)
    assert (state.after_id, state.error) == (None, None)


async def test_two_sweeps_of_a_workspace_there_are_not(scoring: ScoreDesk) -> None:
    await scoring.save(HAS_NAME)
    assert len(await scoring.claim_sweep()) == 1
    assert await scoring.claim_sweep() == []


async def test_new_rules_tell_of_no_threshold_after_midnight_either(scoring: ScoreDesk) -> None:
    """Of who their sweep has not come to: not as the night's begins, nor as something happens."""
    leads = sorted([await scoring.lead(company="Acme") for _ in range(5)])
    await scoring.save(HAS_NAME)
    (claim,) = await scoring.claim_sweep()
    assert not await chunk(scoring, claim)
    await scoring.tell(LeadUpdated(entity_ids=[leads[-1]], changed=["company"]))
    await scoring.react()
    assert (await scoring.scores())[leads[-1]] == 50
    await scoring.sql(A_DAY_LATER)
    assert await sweep_scores(scoring.doors, scoring.settings, claim, lambda: False)
    assert await scoring.scores() == dict.fromkeys(leads, 50)
    assert await scoring.told() == []


async def test_another_time_zone_counts_from_the_next_night_on(scoring: ScoreDesk) -> None:
    bia = await scoring.lead()
    await scoring.exchange(bia)
    await scoring.react()
    for zone in ("Pacific/Pago_Pago", "Pacific/Kiritimati"):
        await scoring.sql("UPDATE workspace SET time_zone = :zone WHERE id = :workspace_id", zone=zone)
        async with scoring.doors.open_reads(scoring.workspace_id) as reads:
            reasons = await reasons_of(reads, scoring.workspace_id, bia)
        assert sum(one["kept"] for one in reasons) == 60
