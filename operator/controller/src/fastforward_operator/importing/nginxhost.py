"""What one Ingress says for a whole host of ingress-nginx, and so for all Ingresses of the host.

In: all Ingresses. Out: hosts, with who guards them and whether a certificate is for them. Called by conversion; nginx
asks whether a snippet may refuse callers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .pathregex import PREFIX, items_of, paths_of
from .reading import Field, Item

_REFUSES = re.compile(
    r"(?:^|[;{}])\s*"
    r"(?:deny|return|if\b[^{}]*\{[^{}]*\brewrite|try_files|satisfy|internal|limit_except|auth_\w+"
    r"|(?:access|rewrite|content)_by_lua\w*|js_\w+|perl|ssl_verify_\w+|ssl_client_certificate|secure_link\w*"
    r"|valid_referers|modsecurity\w*|(?:proxy|grpc|fastcgi|uwsgi|scgi)_pass|include)\b"
)
"""Directives that may keep callers out, lead them elsewhere, or bring in others that do."""
_QUOTED_OR_COMMENT = re.compile(
    r"""(?:^|(?<=[\s;{}(]))(?:(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|#[^\n]*)""", re.DOTALL
)
"""Both begin where a word may: a `#` in a text is no comment, and a quote in a word no text."""


def find_guarded_hosts(ingresses: Iterable[Item]) -> dict[str, str]:
    """Who guards all paths of a host, of whatever Ingress: snippets of servers do, and certificates of clients."""
    hosts: dict[str, str] = {}
    for item in ingresses:
        for name, found in item.annotations(PREFIX):
            if name == "auth-tls-secret" or (name == "server-snippet" and may_refuse(found)):
                hosts |= {host: item.label for host, _, _ in paths_of(item)}
    return hosts


def find_secured_hosts(ingresses: Iterable[Item]) -> set[str]:
    """Hosts of rules that a certificate is for: one of any of their Ingresses, by a wildcard too, for one label."""
    hosts: set[str] = set()
    for item in ingresses:
        named: set[str] = set()
        for tls in items_of(item.spec["tls"]):
            named |= {str(each.raw).lower() for each in items_of(tls["hosts"])} or {""}
        for host, _, _ in paths_of(item):
            if named & {host, "", f"*.{host.partition('.')[2]}"}:
                hosts.add(host)
    return hosts


def may_refuse(found: Field) -> bool:
    """Whether a snippet may keep callers out; comments do not count."""
    text = _QUOTED_OR_COMMENT.sub(lambda part: '""' if part["quoted"] else "", str(found.raw))
    return _REFUSES.search(text) is not None
