"""The authority of an installation: when it is renewed, what of a Secret is believed, and which fault is told how."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from fastforward_operator import certificates
from fastforward_operator.certificates import Certified, Subject
from fastforward_operator.kubernetes import authority
from fastforward_operator.kubernetes.authority import AuthorityError, Held

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)
HOST = "fastforward-webhook.fastforward-system.svc"
STEP = timedelta(minutes=30)
YEARS = 4


def secret(held: Held, **changed: str | None) -> dict[str, Any]:
    document = authority.write_secret(held, {"name": "fastforward-ca", "namespace": "system"})
    for name, text in changed.items():
        key = name.replace("_", ".")
        document["data"].pop(key, None)
        if text is not None:
            document["data"][key] = base64.b64encode(text.encode()).decode()
    return document


def sign(held: Held, at: datetime) -> Certified:
    subject = Subject(name="webhook", hosts=(HOST,), server=True)
    return certificates.issue(held.current, subject, now=at, lifetime=authority.LIFETIME)


def verify(held: Held, certified: Certified, at: datetime) -> None:
    """Raises VerificationError."""
    store = Store([certificates.load_certificate(each) for each in held.bundle])
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(HOST))
    verifier.verify(certificates.load_certificate(certified.certificate), [])


def test_what_is_written_is_read() -> None:
    held = authority.first(NOW)
    assert authority.read_secret(secret(held)) == held
    late = authority.renewed(held, NOW + timedelta(days=250))
    assert late.following is not None
    assert authority.read_secret(secret(late)) == late


def test_nothing_is_renewed_before_it_is_time() -> None:
    held = authority.first(NOW)
    assert authority.renewed(held, NOW + timedelta(days=243)) is held


def test_a_new_authority_is_announced_before_it_signs_and_the_old_one_stays() -> None:
    held = authority.first(NOW)
    due = certificates.renew_at(held.current.certificate)
    announced = authority.renewed(held, due)
    assert announced.current == held.current
    assert announced.following is not None
    assert set(announced.bundle) == {held.current.certificate, announced.following.certificate}
    assert authority.renewed(announced, due + authority.ANNOUNCED - timedelta(seconds=1)) is announced
    promoted = authority.renewed(announced, due + authority.ANNOUNCED)
    assert (promoted.current, promoted.following) == (announced.following, None)
    assert set(promoted.bundle) == set(announced.bundle)
    alone = authority.renewed(promoted, NOW + authority.AUTHORITY_LIFETIME)
    assert alone.bundle == (promoted.current.certificate,)


def test_over_years_nobody_meets_a_certificate_that_he_cannot_check() -> None:
    """Each side reads the bundle up to an announcement late, and servers renew when they should."""
    now, held = NOW, authority.first(NOW)
    server, authorities = sign(held, now), {held.current.certificate}
    seen: list[tuple[datetime, Held]] = [(now, held)]
    while now < NOW + timedelta(days=365 * YEARS):
        # Long steps where nothing happens, short ones around each renewal.
        near = certificates.renew_at(held.current.certificate) - now < timedelta(days=2) or held.following is not None
        now += STEP if near else timedelta(hours=20)
        held = authority.renewed(held, now)
        authorities.add(held.current.certificate)
        seen = [(at, each) for at, each in seen if now - at < authority.ANNOUNCED] + [(now, held)]
        if now >= certificates.renew_at(server.certificate):
            server = sign(held, now)
        for _, late in seen:
            verify(late, server, now)
    assert len(authorities) >= YEARS


def test_an_authority_that_ended_is_replaced_at_once() -> None:
    held = authority.renewed(authority.first(NOW), NOW + timedelta(days=400))
    assert held.following is None
    assert held.bundle == (held.current.certificate,)
    verify(held, sign(held, NOW + timedelta(days=400)), NOW + timedelta(days=400))


OTHER = authority.first(NOW)
LEAF = sign(OTHER, NOW)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"tls_crt": None}, "tls.crt is missing"),
        ({"tls_key": None}, "tls.key is missing"),
        ({"tls_key": " "}, "tls.key is missing"),
        ({"ca_crt": None}, "ca.crt holds no certificates"),
        ({"tls_crt": "nonsense"}, "tls.crt is no certificate of an authority"),
        ({"tls_crt": LEAF.certificate}, "tls.crt is no certificate of an authority"),
        ({"tls_key": "nonsense"}, "tls.key is no private key"),
        ({"tls_key": OTHER.current.key}, "tls.key does not belong to tls.crt"),
        ({"ca_crt": OTHER.current.certificate}, "ca.crt does not hold the certificate of every authority"),
        ({"next_crt": OTHER.current.certificate}, "next.key is missing"),
        ({"next_crt": OTHER.current.certificate, "next_key": OTHER.current.key}, "ca.crt does not hold"),
    ],
)
def test_a_broken_secret_is_told_by_name_and_place(changed: dict[str, str | None], fault: str) -> None:
    with pytest.raises(AuthorityError) as raised:
        authority.read_secret(secret(authority.first(NOW), **changed))
    assert str(raised.value).startswith(f"Secret system/fastforward-ca: {fault}")
    assert "PRIVATE" not in str(raised.value)


@pytest.mark.parametrize("data", [None, {}, {"tls.crt": "*"}, {"tls.crt": 1}, {"tls.crt": "/w=="}])
def test_data_that_is_no_text_is_told(data: object) -> None:
    with pytest.raises(AuthorityError, match="Secret system/fastforward-ca: "):
        authority.read_secret({"metadata": {"name": "fastforward-ca", "namespace": "system"}, "data": data})


def test_a_client_is_known_by_a_spiffe_id() -> None:
    assert authority.spiffe("shop", "edge", "public") == "spiffe://fastforward/ns/shop/edge/public"
