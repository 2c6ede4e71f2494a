"""What an authority signs is believed by whom it should, for as long as it should."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from fastforward_operator import certificates
from fastforward_operator.certificates import Certified, Subject

NOW = datetime(2031, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
AUTHORITY = certificates.new_authority("test", now=NOW, lifetime=100 * DAY)
SERVER = Subject(name="server", hosts=("a.example.com", "*.b.example.com"), addresses=("127.0.0.1", "::1"), server=True)
CLIENT = Subject(name="client", uris=("spiffe://fastforward/ns/shop/edge/public",), client=True)


def issue(subject: Subject, days: int = 9) -> Certified:
    return certificates.issue(AUTHORITY, subject, now=NOW, lifetime=days * DAY)


def leaf(certified: Certified) -> x509.Certificate:
    return certificates.load_certificate(certified.certificate)


def verify(certified: Certified, host: str, at: datetime) -> None:
    builder = PolicyBuilder().store(Store([leaf(AUTHORITY)])).time(at)
    builder.build_server_verifier(x509.DNSName(host)).verify(leaf(certified), [])


def test_a_server_is_believed_by_its_names_and_no_others() -> None:
    made = issue(SERVER)
    verify(made, "a.example.com", NOW)
    verify(made, "x.b.example.com", NOW)
    for other in ("example.com", "x.y.b.example.com", "evil.example"):
        with pytest.raises(VerificationError):
            verify(made, other, NOW)


@pytest.mark.parametrize(
    ("at", "believed"),
    [
        (NOW - timedelta(minutes=4), True),
        (NOW - timedelta(minutes=6), False),
        (NOW + 9 * DAY, True),
        (NOW + 9 * DAY + timedelta(seconds=1), False),
    ],
)
def test_it_holds_from_a_little_before_until_its_end(at: datetime, believed: bool) -> None:
    made = issue(SERVER)
    if believed:
        verify(made, "a.example.com", at)
    else:
        with pytest.raises(VerificationError):
            verify(made, "a.example.com", at)


def test_it_never_outlives_its_authority() -> None:
    assert certificates.ends_at(issue(SERVER, 1000).certificate) == certificates.ends_at(AUTHORITY.certificate)


@pytest.mark.parametrize(
    ("subject", "purposes"),
    [
        (SERVER, [ExtendedKeyUsageOID.SERVER_AUTH]),
        (CLIENT, [ExtendedKeyUsageOID.CLIENT_AUTH]),
        (
            Subject(name="both", hosts=("a",), server=True, client=True),
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
        ),
    ],
)
def test_it_is_for_what_was_asked(subject: Subject, purposes: list[x509.ObjectIdentifier]) -> None:
    extensions = leaf(issue(subject)).extensions
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == purposes
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_a_client_has_its_uri_and_a_server_its_addresses() -> None:
    names = leaf(issue(CLIENT)).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == list(CLIENT.uris)
    names = leaf(issue(SERVER)).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == list(SERVER.addresses)


@pytest.mark.parametrize("subject", [Subject(name="x", hosts=("a",)), Subject(name="x", server=True)])
def test_a_certificate_without_purpose_or_name_is_refused(subject: Subject) -> None:
    with pytest.raises(ValueError, match="for nobody"):
        issue(subject)


def test_it_is_renewed_after_two_thirds_of_its_life() -> None:
    made = issue(SERVER)
    assert certificates.made_at(made.certificate) == NOW
    assert certificates.renew_at(made.certificate) == NOW + 6 * DAY


def test_a_key_is_not_shown_by_accident() -> None:
    assert "PRIVATE" not in repr(issue(SERVER))


@pytest.mark.parametrize("client", [CLIENT, SERVER], ids=["client", "server's certificate"])
def test_a_server_takes_only_who_is_certified_as_a_client(tmp_path: Path, client: Subject) -> None:
    now = datetime.now(UTC)
    authority = certificates.new_authority("test", now=now, lifetime=DAY)

    def context(side: int, subject: Subject) -> ssl.SSLContext:
        made = certificates.issue(authority, subject, now=now, lifetime=DAY)
        file = tmp_path / f"{side}.pem"
        file.write_text(made.certificate + made.key)
        found = ssl.SSLContext(side)
        found.load_cert_chain(file)
        found.load_verify_locations(cadata=authority.certificate)
        found.verify_mode = ssl.CERT_REQUIRED
        return found

    believed = _shake(context(ssl.PROTOCOL_TLS_CLIENT, client), context(ssl.PROTOCOL_TLS_SERVER, SERVER))
    assert believed == (client is CLIENT)


def _shake(client: ssl.SSLContext, server: ssl.SSLContext) -> bool:
    """Whether a client may speak to a server."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(back, there, server_hostname="a.example.com"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(10):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return True
