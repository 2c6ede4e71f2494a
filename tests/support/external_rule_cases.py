"""Cases of the rules of external authorization, and of what is only tried. Called by rule_cases."""

from __future__ import annotations

import fastforward_crds as crds

from support.documents import Document
from support.rule_case import case

KEYS: Document = {"name": "a", "apiKey": {"secrets": [{"name": "s"}]}}
ASKED: Document = {"upstream": {"name": "guard"}}

CASES = (
    case(
        crds.Authentication,
        "Mode None refuses nobody, so there is nothing to try.",
        "shadow",
        kept=[
            {"mode": "None"},
            {"mode": "None", "shadow": False},
            {"mode": "Optional", "providers": [KEYS], "shadow": True},
        ],
        broken=[{"mode": "None", "shadow": True}],
    ),
    case(
        crds.Authorization,
        "An authorization has grants, or an external service that is asked.",
        "grants",
        kept=[{"grants": [{"name": "a"}]}, {"external": ASKED}, {"grants": [], "external": ASKED}],
        broken=[{}, {"grants": []}],
    ),
    case(
        crds.External,
        "The path has no query.",
        "path",
        kept=[ASKED, {**ASKED, "path": "/authz"}],
        broken=[{**ASKED, "path": "/authz?a=b"}, {**ASKED, "path": "/authz#a"}],
    ),
    case(
        crds.External,
        "Only services of HTTP tell headers.",
        "answerHeaders",
        kept=[{**ASKED, "protocol": "OPA"}, {**ASKED, "protocol": "HTTP", "answerHeaders": ["x-a"]}],
        broken=[{**ASKED, "protocol": "OPA", "answerHeaders": ["x-a"]}],
    ),
    case(
        crds.External,
        "These headers the gateway writes itself.",
        "requestHeaders",
        kept=[ASKED, {**ASKED, "requestHeaders": []}, {**ASKED, "requestHeaders": ["Cookie", "x-forwarded", "x-f"]}],
        broken=[
            {**ASKED, "requestHeaders": [name]}
            for name in ("Host", "X-FF-Tenant", "x-forwarded-uri", "x-request-id", "te", "content-length")
        ],
    ),
    case(
        crds.External,
        "These headers belong to the gateway.",
        "answerHeaders",
        kept=[ASKED, {**ASKED, "answerHeaders": []}, {**ASKED, "answerHeaders": ["Authorization", "x-auth-user"]}],
        broken=[
            {**ASKED, "answerHeaders": ["x-a", name]}
            for name in ("HOST", "x-ff-subject", "X-Envoy-Retry-On", "x-forwarded-for", "connection", "upgrade")
        ],
    ),
)
