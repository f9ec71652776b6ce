"""Rates are bounded, and events that are held back are counted."""

from seve_runtime.backoff import backoff, jittered
from seve_runtime.rate_limit import Quota, Throttle, TokenBucket


def test_a_throttle_lets_one_pass_in_each_interval_and_counts_the_others():
    throttle = Throttle(60.0)
    assert [throttle.allows(now) for now in (0.0, 1.0, 59.9, 60.0, 61.0)] == [True, False, False, True, False]
    assert (throttle.held_back(), throttle.held_back()) == (3, 0)


def test_a_quota_is_for_each_key_and_second():
    quota = Quota(2)
    assert [quota.allows("a", 7.1), quota.allows("a", 7.5), quota.allows("a", 7.9)] == [True, True, False]
    assert quota.allows("b", 7.9)
    assert quota.allows("a", 8.0)


def test_a_bucket_saves_no_more_than_its_burst():
    """After any pause, at most `burst` events pass at once."""
    bucket = TokenBucket(rate=10, burst=5, now=0.0)
    assert [bucket.allows(3600.0) for _ in range(6)] == [True] * 5 + [False]
    assert not bucket.allows(3600.05)
    assert bucket.allows(3600.11)


def test_a_backoff_doubles_up_to_the_longest():
    assert [backoff(n, first=0.25, longest=5.0) for n in range(1, 8)] == [0.25, 0.5, 1, 2, 4, 5, 5]
    assert backoff(10_000, first=0.25, longest=5.0) == 5


def test_jitter_stays_in_the_upper_half():
    assert [jittered(2.0, chance) for chance in (0.0, 0.5)] == [1.0, 1.5]
