"""ID tokens (OpenID Connect Core 1.0, section 3.1.3.7): which prove somebody, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
from fastforward_pipeline import Reason

from support.credentials import jwks
from support.decision_snapshots import NOW, keyset
from support.logins import Answering, came_back, cookies, world


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({"iss": "http://other"}, "the ID token is of 'http://other', not of http://login.example.com"),
        ({"nonce": "other"}, "the ID token is of another login (nonce)"),
        ({"nonce": 5}, "the ID token is of another login (nonce)"),
        ({"sub": ""}, "the ID token names no subject"),
        ({"aud": "other"}, "the ID token is for other, not for shop"),
        ({"aud": []}, "the ID token is for nobody, not for shop"),
        ({"aud": ["shop", "other"]}, "the ID token was issued to another client (azp)"),
        ({"azp": "other"}, "the ID token was issued to another client (azp)"),
        ({"exp": 0}, "the ID token has no end (exp)"),
        ({"exp": NOW - 61}, "the ID token has expired"),
        ({"nbf": NOW + 61}, "the ID token is not valid yet"),
    ],
)
def test_an_id_token_must_be_of_this_login(claims: dict[str, Any], detail: str) -> None:
    decision = came_back(Answering(**claims))
    assert decision.refusal is not None
    assert (decision.reason, decision.refusal.detail) == (Reason.LOGIN_FAILED, detail)
    assert [name.startswith("ff-login-") for name, _, _ in cookies(decision)] == [True], "the login is over"


@pytest.mark.parametrize(
    "claims", [{"exp": NOW - 60}, {"nbf": NOW + 60}, {"aud": ["shop", "other"], "azp": "shop"}, {"aud": ["shop"]}]
)
def test_what_a_clock_or_an_issuer_may_say_is_taken(claims: dict[str, Any]) -> None:
    assert came_back(Answering(**claims)).reason is Reason.LOGGED_IN


def test_keys_of_another_sign_nothing() -> None:
    other = keyset(jwks("another").encode(), "login")
    known = world().apply([other])
    decision = came_back(Answering(), known)
    assert decision.refusal is not None
    assert decision.refusal.detail == "no key 'login' of the issuer has signed the ID token with ES256"
    gone = came_back(Answering(), world().apply((), ["keyset/login"]))
    assert gone.refusal is not None
    assert gone.refusal.detail == "the keys login are not in the snapshot"
