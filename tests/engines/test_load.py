"""Under which load a question's time was taken."""

from s1_eval.engines.load import Load


def test_questions_in_flight_share_the_time():
    now = 0.0
    load = Load(lambda: now)
    with load.one() as first:
        now = 1.0
        with load.one() as second:
            now = 5.0
        now = 7.0
    assert (first.seconds, first.machine_seconds) == (7.0, 5.0)
    assert (second.seconds, second.machine_seconds) == (4.0, 2.0)
    now = 9.0
    with load.one() as alone:
        now = 10.0
    assert alone.machine_seconds == alone.seconds == 1.0
