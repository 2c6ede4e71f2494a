"""What logins by OpenID Connect ask of the world: codes exchanged at token endpoints, and random bytes.

In: a RedeemCode. Out: a future of what the issuer says; it ends within TOKEN_S. Called by the decision endpoint. A code
is sent once: it may be used once, and an issuer that sees it twice takes back what it gave for it (RFC 6749, section
4.1.2).
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import secrets
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
import structlog
from fastforward_pipeline import DrawBytes, Drawn, RedeemCode, Redeemed
from fastforward_pipeline.compiled.oidc import OidcClient
from yarl import URL

from .trust import trust

log = structlog.get_logger(__name__)

TOKEN_S = 5.0
"""The proxy waits somewhat longer (emit/envoy/body.py)."""
MOST_UNDER_WAY = 64
_ANSWER_BYTES = 64 << 10
_PATIENCE_S = 15.0
_NOBODY = Redeemed(fault="the token endpoint has no address", reached=False)
_BUSY = Redeemed(fault="too many logins are under way", reached=False)


class TokenEndpoints:
    """A connection pool. Used in one event loop."""

    def __init__(self, *, patience_s: float = TOKEN_S) -> None:
        self._patience_s = patience_s
        self._turns = itertools.count()
        self._session: aiohttp.ClientSession | None = None
        self._under_way: set[asyncio.Task[Redeemed]] = set()

    def draw(self, asked: DrawBytes) -> Drawn:
        """Returns bytes of the system's generator."""
        return Drawn(secrets.token_bytes(asked.count))

    def redeem(self, asked: RedeemCode) -> Redeemed | asyncio.Future[Redeemed]:
        """Returns what the issuer says; at once only where nobody can be asked."""
        if not asked.client.places:
            return _NOBODY
        if len(self._under_way) >= MOST_UNDER_WAY:
            return _BUSY
        task = asyncio.ensure_future(self._redeem(asked))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def close(self) -> None:
        """Ends what is under way, and all connections."""
        for task in tuple(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _redeem(self, asked: RedeemCode) -> Redeemed:
        try:
            async with asyncio.timeout(self._patience_s):
                status, body = await self._post(asked)
        except TimeoutError:
            redeemed = Redeemed(fault=f"the token endpoint has not answered in {self._patience_s:g} s", reached=False)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            redeemed = Redeemed(fault=f"the token endpoint can't be asked: {error}", reached=False)
        else:
            redeemed = read_answer(status, body)
        if redeemed.fault:
            log.warning("code not exchanged", provider=asked.client.name, why=redeemed.fault)
        return redeemed

    async def _post(self, asked: RedeemCode) -> tuple[int, bytes]:
        client = asked.client
        form = {
            "grant_type": "authorization_code",
            "code": asked.code,
            "redirect_uri": asked.redirect_uri,
            "code_verifier": asked.verifier,
        }
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "host": urlsplit(client.token_url).netloc,
            "user-agent": "FastForward",
        }
        if client.in_form:
            # client_secret_post (RFC 6749, section 2.3.1): never both, which section 2.3 forbids.
            form |= {"client_id": client.client_id, "client_secret": client.secret}
        else:
            headers["authorization"] = _credentials(client)
        async with self._client().post(
            self._url(client),
            data=urlencode(form).encode(),
            headers=headers,
            allow_redirects=False,
            ssl=True if client.tls is None else trust(client.tls),
            server_hostname=None if client.tls is None else client.tls.server_name,
        ) as answer:
            return answer.status, await _read(answer.content)

    def _url(self, client: OidcClient) -> URL:
        """One place after the other."""
        host, port = client.places[next(self._turns) % len(client.places)]
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        target = urlsplit(client.token_url)
        path = f"{target.path or '/'}{'?' if target.query else ''}{target.query}"
        return URL(f"{'http' if client.tls is None else 'https'}://{authority}{path}", encoded=True)

    def _client(self) -> aiohttp.ClientSession:
        """Cookies are nobody's here, and the time is `_redeem`'s."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_PATIENCE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
            )
        return self._session


def _credentials(client: OidcClient) -> str:
    """Returns client_secret_basic (RFC 6749, section 2.3.1): both halves are encoded as in a form."""
    text = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
    return "Basic " + base64.b64encode(text.encode()).decode()


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Returns all of an answer. Raises ValueError on one that is too long."""
    read = bytearray()
    async for part in content.iter_any():
        read += part
        if len(read) > _ANSWER_BYTES:
            raise ValueError("its answer is too long")
    return bytes(read)


def read_answer(status: int, body: bytes) -> Redeemed:
    """Returns the ID token in an answer, or what the issuer says instead (RFC 6749, sections 5.1 and 5.2)."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return Redeemed(fault=f"the token endpoint answers {status} and no JSON object", reached=status < 500)
    if status != 200:
        return Redeemed(fault=f"the token endpoint says {str(said.get('error'))[:100]!r}", reached=status < 500)
    token = said.get("id_token")
    if not isinstance(token, str):
        return Redeemed(fault="the token endpoint gives no ID token: is `openid` among the client's scopes?")
    return Redeemed(id_token=token)
