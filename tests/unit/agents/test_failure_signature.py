"""A failure keeps its name while only the machine's own noise changes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.artifacts import CheckName, CheckRun
from domain.agents.signature import failure_signature
from tests.unit.agents import samples

NOISE = st.fixed_dictionaries(
    {
        "time": st.datetimes().map(
            lambda moment: moment.isoformat(sep=" ", timespec="milliseconds")
        ),
        "clock": st.times().map(lambda moment: moment.strftime("%H:%M:%S")),
        "port": st.integers(1024, 65535),
        "pid": st.integers(2, 99999),
        "address": st.integers(2**40, 2**47).map(hex),
        "uuid": st.uuids(),
        "seconds": st.floats(0, 99).map(lambda seconds: f"{seconds:.3f}"),
        "tmp": st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=8, max_size=8),
        "line": st.integers(1, 9999),
        "row": st.integers(1, 9999),
    }
)

OUTPUT = """{time} starting at http://127.0.0.1:{port}/ as pid {pid}
[{clock}] listening on ('127.0.0.1', {port}), data in /tmp/tmp{tmp}/data
Traceback (most recent call last):
  File "/tmp/tmp{tmp}/app.py", line {line}, in borrow
    loans.add(title)
{error}: <Loan object at {address}> of {uuid} (id={row}) lost at app.py:{line} after {seconds}s
"""
PLAIN = """{time} could not open port {port}
request took {seconds} seconds in /var/folders/ab/cd/T/tmp{tmp}/x
{error}
"""


def start(output: str, **changes: object) -> CheckRun:
    run = CheckRun(
        name=CheckName.START,
        command=("python3", "app.py"),
        outcome="exited",
        exit_code=1,
        passed=False,
        duration_ms=12,
        output=output,
    )
    return replace(run, **changes)  # type: ignore[arg-type]  # tests name the fields


@given(NOISE, NOISE, st.sampled_from([OUTPUT, PLAIN]), st.integers(0, 999), st.integers(0, 999))
def test_noise_does_not_change_the_name(
    one: dict[str, object], two: dict[str, object], text: str, fast: int, slow: int
) -> None:
    first = start(text.format(error="KeyError", **one), duration_ms=fast)
    second = start(text.format(error="KeyError", **two), duration_ms=slow)
    assert failure_signature(first) == failure_signature(second)


@given(NOISE, NOISE, st.permutations(["test_add", "test_borrow", "test_lend"]))
def test_neither_noise_nor_order_changes_the_name_of_failing_tests(
    one: dict[str, object], two: dict[str, object], order: list[str]
) -> None:
    def check(noise: dict[str, object], names: list[str]) -> CheckRun:
        detail = OUTPUT.format(error="AssertionError", **noise)
        return samples.run_of_tests(*(samples.ran(n, passed=False, detail=detail) for n in names))

    assert failure_signature(check(one, sorted(order))) == failure_signature(check(two, order))


NAMES = st.sets(st.sampled_from(["test_a", "test_b", "test_c", "test_d"]), min_size=1)


@given(NAMES, NAMES)
def test_other_failing_tests_have_another_name(one: set[str], two: set[str]) -> None:
    def signature(names: set[str]) -> str:
        failed = (samples.ran(name, passed=False, detail="AssertionError: no") for name in names)
        return failure_signature(samples.run_of_tests(*failed))

    assert (signature(one) == signature(two)) == (one == two)


def test_what_the_assertion_says_belongs_to_the_name() -> None:
    def signature(detail: str) -> str:
        return failure_signature(
            samples.run_of_tests(samples.ran("t", passed=False, detail=detail))
        )

    assert signature("AssertionError: 1 != 2") != signature("AssertionError: 1 != 3")
    assert signature("AssertionError: paid: 2") != signature("AssertionError: paid: 3")
    assert signature("AssertionError: 1 != 2") != signature("KeyError: 'a'")
    assert signature("AssertionError: x\n- 1\n+ 2") != signature("AssertionError: x\n- 1\n+ 3")


def test_passing_and_skipped_tests_do_not_belong_to_the_name() -> None:
    failed = samples.ran("test_add", passed=False, detail="AssertionError: 0 != 1")
    alone = samples.run_of_tests(failed)
    among = samples.run_of_tests(samples.ran("test_a"), failed, samples.ran("test_s", skipped=True))
    assert failure_signature(alone) == failure_signature(among)


def test_how_a_stage_ended_belongs_to_the_name() -> None:
    ends = [
        start("x"),
        start("x", outcome="timed_out", exit_code=None),
        start("x", exit_code=2),
        start("x", name=CheckName.BUILD),
        start(""),
    ]
    assert len({failure_signature(end) for end in ends}) == len(ends)


def test_the_head_can_be_read() -> None:
    failed = samples.ran("test_add", passed=False, detail="Traceback\nAssertionError: 0 != 1")
    signature = failure_signature(samples.run_of_tests(failed))
    assert signature.startswith(f"test: {failed.id} AssertionError: 0 != 1 [")
    assert "\n" not in failure_signature(start("a\nb"))


@given(st.text())
def test_any_output_has_a_name(output: str) -> None:
    assert len(failure_signature(start(output))) < 200


@pytest.mark.parametrize(
    "run", ["pid ", "port", " ", "1", "a_id", "/tmp/", "\x1b[", "0x1.", "line "]
)
def test_long_runs_of_one_thing_are_read_in_linear_time(run: str) -> None:
    # A pattern that backtracks would take minutes here, not milliseconds.
    assert failure_signature(start("pid" + run * (15_000 // len(run)) + " " * 15_000))
