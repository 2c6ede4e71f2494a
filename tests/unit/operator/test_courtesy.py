"""Whether others write so much that statuses had better wait."""

from fastforward_operator.kubernetes.courtesy import Courtesy


def test_many_in_a_moment_are_a_crowd_and_as_many_in_a_while_are_none() -> None:
    courtesy = Courtesy(many=3, window_s=1.0)
    for now in (0.0, 0.25, 0.75):
        assert courtesy.wait(now) == 0.0
        courtesy.heard(now)
    assert courtesy.wait(0.875) == 0.125
    assert courtesy.wait(1.0) == 0.0
    courtesy.heard(1.0)
    assert courtesy.wait(1.125) == 0.125


def test_no_more_is_kept_than_what_a_crowd_is() -> None:
    courtesy = Courtesy(many=3, window_s=1.0)
    for now in range(1000):
        courtesy.heard(now)
    assert len(courtesy._heard) == 3
