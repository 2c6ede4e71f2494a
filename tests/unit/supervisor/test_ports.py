"""A busy port is told before anything starts, with the program that has it."""

import os
import socket

import pytest
from fastforward_operator.supervisor.ports import PortBusyError, check_port, has_ipv6

from support.processes import free_port


def test_a_free_port_passes() -> None:
    check_port("127.0.0.1", free_port(), "test")


def test_a_busy_port_names_its_owner_and_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortBusyError) as caught:
            check_port("127.0.0.1", port, "listener http")
    assert f"Port {port} (listener http) is taken by " in str(caught.value)
    assert f"(process {os.getpid()})" in str(caught.value)
    assert "choose another port" in str(caught.value)


def test_a_port_shared_by_reuseport_is_busy_all_the_same() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        with pytest.raises(PortBusyError):
            check_port("127.0.0.1", server.getsockname()[1], "test")


def test_an_address_that_this_machine_lacks_is_told() -> None:
    with pytest.raises(PortBusyError, match=r"on 192\.0\.2\.1 .* can't be used"):
        check_port("192.0.2.1", free_port(), "test")


def test_a_port_that_is_busy_on_ipv6_only_is_found_there() -> None:
    if not has_ipv6():
        return
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        check_port("127.0.0.1", port, "test")
        with pytest.raises(PortBusyError):
            check_port("::1", port, "test")
