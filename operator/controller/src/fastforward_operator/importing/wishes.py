"""What annotations and middlewares want done with a rule, gathered until the rule is written.

In: what nginx, middleware and headers find. Out: `Wishes`. Called by ingress and ingressroute.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from fastforward_compiler.translate.expression import MAX_REWRITE_PROGRAM, fault_of_regex, fault_of_substitution

from .draft import REFUSED, Context, Document, PolicyName, Rule, key_of, service_spec
from .reading import Field

_SERVICE = re.compile(r"(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(?:\.cluster\.local)?")
NO_BOUND = "0s"
"""Others bound a request by its silence alone; so a rule that says nothing has no bound on the whole either."""


@dataclass(slots=True)
class Wishes:
    """What is to be done with a rule besides sending it to its Upstreams."""

    body: Document = field(default_factory=dict)
    upstream: Document = field(default_factory=dict)
    admission: Document = field(default_factory=dict)
    answer: Document | None = None
    """A redirect in place of a destination."""
    to_https: Document | None = None
    """A redirect for those who come in clear text."""
    closed: bool = False
    """Something guards the rule that is not imported."""
    rewrites: list[Rewrite] = field(default_factory=list)
    policies: list[tuple[PolicyName, Document]] = field(default_factory=list)
    """Those that hold for the rule."""
    asks: Asks | None = None
    """Who is asked whether its requests may pass."""
    hsts: str = ""

    @property
    def guarded(self) -> bool:
        """Whether somebody may be kept out: then not one path less may be taken than before."""
        return self.closed or bool(self.admission) or bool(self.policies) or self.asks is not None

    def for_rule(self) -> Wishes:
        """A copy that one rule may change."""
        return replace(self, body=dict(self.body), rewrites=list(self.rewrites), policies=list(self.policies))

    def close(self, found: Field, what: str, remedy: str) -> None:
        """A guard that has no equivalent."""
        self.closed = True
        found.lost(f"{what} The rules it guards answer 403 until something else does.", remedy)

    def change_header(self, part: str, action: str, name: str, value: str = "") -> None:
        """One change of `requestHeaders` or `responseHeaders`; the later one of two with the same name counts."""
        changes = self.body.setdefault(part, {})
        if action == "remove":
            changes.setdefault("remove", []).append(name)
            return
        listed = [each for each in changes.get(action, []) if each["name"].lower() != name.lower()]
        changes[action] = [*listed, {"name": name, "value": value}]

    def allow(self, found: Field, networks: Iterable[str], which: str = "allowAddresses") -> None:
        """Networks let in or kept out. Two lists that both must let in have no equivalent."""
        listed = [network for network in networks if is_network(network)]
        wrong = [network for network in networks if not is_network(network)]
        if wrong:
            self.close(found, f"{', '.join(wrong)} is no network.", "Write the networks into the Route's admission.")
            return
        before = self.admission.get(which)
        if before is not None and before != listed and which == "allowAddresses":
            self.close(found, "Two lists of addresses hold together.", "Write those of both into the admission.")
            return
        self.admission[which] = [*(before or ()), *(each for each in listed if each not in (before or ()))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """A service that is asked whether requests may pass."""

    name: str
    host: str
    port: int
    said: Document
    """The rest of `external`."""

    def upstream(self, namespace: str) -> Document:
        """Its Upstream: a Service by its name in the cluster, else what the name resolves to."""
        service = _SERVICE.fullmatch(self.host)
        if service is not None:
            return service_spec(namespace, service["name"], self.port, service["namespace"])
        if is_network(self.host):
            return {"endpoints": [{"address": self.host, "port": self.port}]}
        return {"dns": {"host": self.host, "port": self.port}}


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One step that changes the path; exactly one of the first three."""

    place: Field
    strip: tuple[str, ...] = ()
    """Prefixes, of which the first that fits goes."""
    path: str = ""
    pattern: str = ""
    substitution: str = ""


def is_network(text: str) -> bool:
    """Whether it is an IP network or address."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def regex_fault(pattern: str, *, rewriting: bool = False) -> str:
    """What is wrong with a regular expression, in our own words; empty when nothing is."""
    if len(pattern) > 512:
        return "it has more than 512 characters"
    return fault_of_regex(pattern, MAX_REWRITE_PROGRAM) if rewriting else fault_of_regex(pattern)


def _rewrite(wishes: Wishes, matches: list[Document]) -> Document:
    """The steps as one rewrite; closes the rule where one can't do them."""
    steps = wishes.rewrites
    if not steps:
        return {}
    made = _one_rewrite(steps, matches)
    if made is None:
        message = "These steps together are more than one rewrite can do."
        wishes.close(steps[-1].place, message, "Let the upstream have the path as it is, or write one expression.")
        return {}
    fault = ""
    if "regex" in made:
        pattern, substitution = made["regex"]["pattern"], made["regex"]["substitution"]
        fault = regex_fault(pattern, rewriting=True) or fault_of_substitution(pattern, substitution)
    if fault:
        wishes.close(steps[-1].place, f"The rewrite is refused: {fault}.", "Write a simpler expression.")
        return {}
    return made


def _one_rewrite(steps: list[Rewrite], matches: list[Document]) -> Document | None:
    first, *rest = steps
    if first.strip and (not rest or (len(rest) == 1 and rest[0].pattern == "^/")):
        return _stripped(first, rest[0].substitution.rstrip("/") if rest else "", matches)
    if rest:
        return None
    if first.path:
        return {"replacePath": first.path}
    return {"regex": {"pattern": first.pattern, "substitution": first.substitution}}


def _stripped(step: Rewrite, added: str, matches: list[Document]) -> Document | None:
    """Without a prefix, and with another one in its place."""
    prefix = step.strip[0].rstrip("/") if len(step.strip) == 1 else ""
    paths = [match["path"] for match in matches]
    if prefix and paths == [{"type": "Prefix", "value": prefix}] * len(paths):
        return {"replacePrefix": added or "/"}
    if prefix and paths == [_letters(prefix)] * len(paths):
        return {"regex": {"pattern": f"^{literal_regex(prefix)}", "substitution": f"{added}/"}}
    if added:
        return None
    if prefix:
        step.place.changed("X-Forwarded-Prefix is told for all requests of the rule.")
    return {"regex": {"pattern": f"^(?:{'|'.join(map(literal_regex, step.strip))})/*", "substitution": "/"}}


def _letters(prefix: str) -> Document:
    """What begins with the prefix in the middle of a segment."""
    return {"type": "Regex", "value": f"{literal_regex(prefix)}[^/].*"}


def literal_regex(text: str) -> str:
    """The text as a regular expression (RE2) that matches nothing else."""
    return "".join(f"\\{char}" if char in "\\.+*?()|[]{}^$" else char for char in text)


def finish(context: Context, rule: Rule, wishes: Wishes, destination: Document) -> None:
    """Add the rule with its destination; in parts, where parts of its matches are rewritten each in its own way."""
    groups: dict[str, list[Document]] = {}
    for match in rule.matches:
        path = match["path"]
        groups.setdefault(path["type"] + path["value"] if wishes.rewrites else "", []).append(match)
    rewrites = [(matches, _rewrite(wishes, matches)) for matches in groups.values()]
    joined: dict[str, tuple[list[Document], Document]] = {}
    for matches, rewrite in rewrites:
        joined.setdefault(key_of(rewrite), ([], rewrite))[0].extend(matches)
    for matches, rewrite in joined.values():
        part = rule.on(rule.hosts, rule.order)
        part.matches, part.admission = matches, wishes.admission
        part.body = _body(wishes, rewrite, destination)
        wanted = list(wishes.policies)
        if wishes.asks is not None and not wishes.closed:
            wanted.append(_ask(context, rule, wishes.asks))
        part.policies = tuple(
            context.draft.policy(rule.item.namespace, policy, spec, rule.item) for policy, spec in wanted
        )
        context.draft.add(part)


def _ask(context: Context, rule: Rule, asks: Asks) -> tuple[PolicyName, Document]:
    """The policy that asks, and in the draft the Upstream that is asked."""
    namespace = rule.item.namespace
    upstream = context.draft.upstream(namespace, asks.name, asks.upstream(namespace), rule.item.label)
    external = {"upstream": {"name": upstream}, **asks.said}
    return PolicyName("AuthPolicy", asks.name), {"authorization": {"external": external}}


def _body(wishes: Wishes, rewrite: Document, destination: Document) -> Document:
    if wishes.closed:
        return dict(REFUSED)
    if wishes.answer is not None or "upstreams" not in destination:
        return _answered(wishes.body, wishes.answer if wishes.answer is not None else destination)
    body = {"timeout": {"request": NO_BOUND}, **wishes.body}
    both = {**body.pop("rewrite", {}), **rewrite}
    return {**body, **({"rewrite": both} if both else {}), **destination}


def prefix_paths(value: str, *, literal: bool) -> list[Document]:
    """Paths that begin with a text: by segments, or to the letter as well, so that `/a` takes `/ab` too."""
    if not literal or value == "/":
        return [{"type": "Prefix", "value": value}]
    if value.endswith("/"):
        return [{"type": "Regex", "value": f"{literal_regex(value)}.*"}]
    return [{"type": "Prefix", "value": value}, _letters(value)]


BY_SEGMENTS = "A prefix ends with a segment: /a takes /a and /a/b, and no longer /ab."


def _answered(body: Document, answer: Document) -> Document:
    kept = {name: value for name, value in body.items() if name == "responseHeaders"}
    return {**kept, **answer}
