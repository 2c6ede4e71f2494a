"""Keeps DNS records of the hosts that Edges serve, as external-dns does for Services.

In: `ff get edges -o json`, asked again and again: the operator tells of no change by itself, and who asks misses none.
Out: a hosts file (dnsmasq's `--hostsdir`, CoreDNS' `hosts`) or a part of a zone (`$INCLUDE` of BIND, Knot, NSD),
replaced whole when something has changed; then a command, such as `rndc reload`. Nothing but the standard library:

    python dns_records.py --address 203.0.113.7 --zone shop.example.com /etc/bind/edges.zone --then 'rndc reload'

Only hosts of Edges that are Programmed have records: nobody is led where nothing answers. What can't be asked now
changes nothing. The file is this program's alone: records of others are in no danger.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import shlex
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

TTL_S = 60


def served_hosts(edges: Iterable[dict[str, Any]]) -> list[str]:
    """The hosts of Edges that proxies serve."""
    hosts = {host for edge in edges if is_programmed(edge) for host in edge.get("hosts", ())}
    return sorted(hosts - {"*"})


def is_programmed(edge: dict[str, Any]) -> bool:
    """Whether every proxy has it."""
    verdicts = {each["type"]: each["status"] for each in edge.get("conditions", ())}
    return verdicts.get("Programmed") == "True"


def hosts_file(hosts: Iterable[str], addresses: Sequence[str]) -> str:
    """A hosts file; it knows no wildcards."""
    plain = [host for host in hosts if not host.startswith("*")]
    return "".join(f"{address} {host}\n" for host in plain for address in addresses)


def zone_part(hosts: Iterable[str], addresses: Sequence[str], zone: str) -> str:
    """Resource records of the hosts in a zone (RFC 1035, section 5), with absolute names."""
    kinds = [("AAAA" if ipaddress.ip_address(address).version == 6 else "A", address) for address in addresses]
    own = [host for host in hosts if host == zone or host.endswith(f".{zone}")]
    return "".join(f"{host}. {TTL_S} IN {kind} {address}\n" for host in own for kind, address in kinds)


def ask_edges(command: Sequence[str]) -> list[dict[str, Any]] | None:
    """What the operator says; None when it can't be asked."""
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode:
        print(f"not asked: {asked.stderr.strip()}", flush=True)
        return None
    return json.loads(asked.stdout)["objects"]


def replace(path: Path, text: str) -> bool:
    """Whether the file has changed; nobody ever reads half of it."""
    if path.exists() and path.read_text() == text:
        return False
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)
    return True


def follow(given: argparse.Namespace) -> None:
    """Until it is ended, or once."""
    while True:
        edges = ask_edges([*shlex.split(given.ff), "get", "edges", "-o", "json"])
        if edges is not None:
            hosts = served_hosts(edges)
            text = zone_part(hosts, given.address, given.zone) if given.zone else hosts_file(hosts, given.address)
            if replace(given.file, text):
                print(f"{len(text.splitlines())} records", flush=True)
                if given.then:
                    subprocess.run(shlex.split(given.then), check=False)
        if given.once:
            return
        time.sleep(given.every)


def main() -> None:
    """Reads what is asked of it."""
    options = argparse.ArgumentParser(description="Keeps DNS records of the hosts that Edges serve.")
    options.add_argument("file", type=Path)
    options.add_argument("--address", action="append", required=True, help="where the proxies are reached; repeatable")
    options.add_argument("--zone", default="", help="write records of this zone, rather than a hosts file")
    options.add_argument("--then", default="", help="command to run when something has changed")
    options.add_argument("--every", type=float, default=10.0, help="seconds between two questions")
    options.add_argument("--once", action="store_true")
    options.add_argument("--ff", default="ff", help="how ff is called")
    follow(options.parse_args())


if __name__ == "__main__":
    main()
