"""The filter, run as the kernel would run it, for machines that the tests are not on."""

import errno
import struct

import pytest

from adapters.sandbox.seccomp import filter_program

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000


def refused(error: int) -> int:
    return 0x00050000 | error


def decide(machine: str, call: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter returns for a call. The instructions are those of ``linux/filter.h``."""
    program = filter_program(machine)
    assert program is not None
    chosen = MACHINES[machine] if architecture is None else architecture
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", call, chosen, 0, *padded)
    instructions = list(struct.iter_unpack("=HBBI", program))
    accumulator = position = 0
    while True:
        code, if_true, if_false, operand = instructions[position]
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x15:
                position += if_true if accumulator == operand else if_false
            case 0x35:
                position += if_true if accumulator >= operand else if_false
            case 0x45:
                position += if_true if accumulator & operand else if_false
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


# Numbers by asm/unistd_64.h and asm-generic/unistd.h.
NUMBERS = {
    "x86_64": {"read": 0, "clone": 56, "socket": 41, "setsockopt": 54, "mount": 165, "bpf": 321},
    "aarch64": {
        "read": 63,
        "clone": 220,
        "socket": 198,
        "setsockopt": 208,
        "mount": 40,
        "bpf": 280,
    },
}


@pytest.mark.parametrize("machine", MACHINES)
class TestFilter:
    def test_ordinary_calls_pass(self, machine: str) -> None:
        assert decide(machine, NUMBERS[machine]["read"]) == ALLOW

    @pytest.mark.parametrize("name", ["mount", "bpf"])
    def test_listed_calls_are_refused(self, machine: str, name: str) -> None:
        assert decide(machine, NUMBERS[machine][name]) == refused(errno.EPERM)

    def test_threads_and_processes_may_be_made(self, machine: str) -> None:
        threads, fork = 0x3D0F00, 0x01200011
        assert decide(machine, NUMBERS[machine]["clone"], threads) == ALLOW
        assert decide(machine, NUMBERS[machine]["clone"], fork) == ALLOW

    @pytest.mark.parametrize("flag", [7, 17, 25, 26, 27, 28, 29, 30])
    def test_namespaces_may_not(self, machine: str, flag: int) -> None:
        flags = 1 << flag
        assert decide(machine, NUMBERS[machine]["clone"], flags) == refused(errno.EPERM)

    def test_clone3_is_missing(self, machine: str) -> None:
        assert decide(machine, 435) == refused(errno.ENOSYS)

    def test_only_local_and_internet_sockets(self, machine: str) -> None:
        allowed = {
            family
            for family in range(50)
            if decide(machine, NUMBERS[machine]["socket"], family) == ALLOW
        }
        assert allowed == {1, 2, 10}

    def test_buffer_sizes_are_ignored_and_other_options_pass(self, machine: str) -> None:
        call = NUMBERS[machine]["setsockopt"]
        ignored = {option for option in range(80) if decide(machine, call, 3, 1, option) != ALLOW}
        assert ignored == {7, 8, 32, 33}
        assert decide(machine, call, 3, 1, 7) == refused(0)
        assert decide(machine, call, 3, 6, 7) == ALLOW

    def test_another_architectures_calls_kill(self, machine: str) -> None:
        assert decide(machine, 0, architecture=0x40000003) == KILL_PROCESS


def test_the_second_numbers_of_x86_64_are_missing() -> None:
    assert decide("x86_64", 0x40000000 | 41, 40) == refused(errno.ENOSYS)


def test_other_machines_have_no_filter() -> None:
    assert filter_program("riscv64") is None
