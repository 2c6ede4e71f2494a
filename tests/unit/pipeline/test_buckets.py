"""Token buckets in memory."""

from fastforward_pipeline import Bucket, TakeTokens, TokenBuckets
from hypothesis import given, settings
from hypothesis import strategies as st


def bucket(key: str = "a", burst: int = 2, requests: int = 1, window_ms: int = 1000, *, shadow: bool = False) -> Bucket:
    return Bucket(key, burst, requests, window_ms, shadow)


def take(buckets: TokenBuckets, now: float, *wanted: Bucket) -> list[tuple[bool, float]]:
    levels = buckets.take(TakeTokens(wanted), now).levels
    return [(level.refused, round(level.tokens, 6)) for level in levels]


def test_a_bucket_begins_full_and_gains_evenly() -> None:
    buckets = TokenBuckets()
    assert [take(buckets, now, bucket())[0] for now in (0.0, 0.0, 0.0, 0.5, 1.0)] == [
        (False, 1.0),
        (False, 0.0),
        (True, 0.0),
        (True, 0.5),
        (False, 0.0),
    ]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    buckets = TokenBuckets()
    take(buckets, 0.0, bucket())
    assert take(buckets, 1_000_000.0, bucket()) == [(False, 1.0)]


def test_a_clock_that_goes_back_gains_nothing_and_loses_nothing() -> None:
    buckets = TokenBuckets()
    take(buckets, 100.0, bucket(burst=1))
    assert take(buckets, 0.0, bucket(burst=1)) == [(True, 0.0)]
    assert take(buckets, 100.5, bucket(burst=1)) == [(True, 0.5)]


def test_all_buckets_give_a_token_or_none_does() -> None:
    buckets = TokenBuckets()
    empty, full = bucket("empty", burst=1), bucket("full", burst=5)
    take(buckets, 0.0, empty)
    assert take(buckets, 0.0, full, empty) == [(False, 5.0), (True, 0.0)]
    assert take(buckets, 0.0, full) == [(False, 4.0)]


def test_a_bucket_in_the_shadow_hinders_nobody() -> None:
    buckets = TokenBuckets()
    shadow, full = bucket("shadow", burst=1, shadow=True), bucket("full", burst=5)
    take(buckets, 0.0, shadow)
    assert take(buckets, 0.0, shadow, full) == [(True, 0.0), (False, 4.0)]


def test_the_longest_unused_bucket_is_forgotten_first() -> None:
    buckets = TokenBuckets(capacity=2)
    for key in ("a", "b", "a", "c"):
        take(buckets, 0.0, bucket(key, burst=9))
    assert buckets.size == 2
    assert take(buckets, 0.0, bucket("a", burst=9)) == [(False, 6.0)]
    assert take(buckets, 0.0, bucket("b", burst=9)) == [(False, 8.0)]


def test_a_smaller_budget_holds_at_once() -> None:
    buckets = TokenBuckets()
    take(buckets, 0.0, bucket(burst=100))
    assert take(buckets, 0.0, bucket(burst=1)) == [(False, 0.0)]


@settings(deadline=None)
@given(
    st.integers(1, 20),
    st.integers(1, 50),
    st.integers(1, 5000),
    st.lists(st.floats(0, 100, allow_nan=False), max_size=200).map(sorted),
)
def test_no_more_is_granted_than_burst_and_gain(burst: int, requests: int, window_ms: int, times: list[float]) -> None:
    buckets = TokenBuckets()
    one = bucket("a", burst, requests, window_ms)
    granted = sum(not take(buckets, now, one)[0][0] for now in times)
    span = times[-1] - times[0] if times else 0.0
    assert granted <= burst + span * 1000 * requests / window_ms + 1e-3
