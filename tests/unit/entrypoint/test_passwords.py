"""Passwords are verified with bounded work: remembered once right, in turns by account, and refused when too many."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from fastforward_entrypoint import passwords
from fastforward_entrypoint.passwords import MAX_OF_ONE, MAX_WAITING, PasswordVerifier
from fastforward_pipeline import Proof, VerifyPassword

from support.credentials import password_hash

RIGHT = "right"


class Slow:
    """Stands for the hash function: an attempt lasts until it is let go, and `begun` says for whom each was."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gate = threading.Semaphore(0)

    def __call__(self, hashed: str, password: str) -> bool:
        self.begun.append(hashed)
        self.gate.acquire()
        return password == RIGHT

    def release(self, times: int = 1) -> None:
        self.gate.release(times)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    made = Slow()
    monkeypatch.setattr(passwords, "verify_password", made)
    monkeypatch.setattr(passwords, "PATIENCE_S", 30)
    yield made
    made.release(1000)


async def proof_of(verifier: PasswordVerifier, account: str, password: str = RIGHT) -> Proof:
    found = verifier.verify(VerifyPassword(account, password))
    return found if isinstance(found, Proof) else await found


def later(verifier: PasswordVerifier, account: str, password: str = RIGHT) -> asyncio.Future[Proof]:
    found = verifier.verify(VerifyPassword(account, password))
    assert isinstance(found, asyncio.Future)
    return found


async def test_a_real_hash_is_verified_once_and_then_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PATIENCE_S", 30)
    verifier, asked = PasswordVerifier(), VerifyPassword(password_hash("secret"), "secret")
    first = verifier.verify(asked)
    assert isinstance(first, asyncio.Future)
    assert await first is Proof.RIGHT
    assert verifier.verify(asked) is Proof.RIGHT
    assert await proof_of(verifier, asked.hash, "wrong") is Proof.WRONG
    assert verifier.verify(VerifyPassword(password_hash("other"), "secret")) is not Proof.RIGHT
    verifier.close()


async def test_the_same_password_is_looked_at_once_however_many_ask(slow: Slow) -> None:
    verifier = PasswordVerifier()
    asked = [later(verifier, "ann") for _ in range(100)]
    slow.release()
    assert set(await asyncio.gather(*asked)) == {Proof.RIGHT}
    assert slow.begun == ["ann"]


async def test_guesses_at_one_account_are_refused_beyond_a_few_and_others_go_on(slow: Slow) -> None:
    verifier = PasswordVerifier()
    tried = [later(verifier, "ann", f"guess {number}") for number in range(MAX_OF_ONE)]
    for number in range(1000):
        assert verifier.verify(VerifyPassword("ann", f"other guess {number}")) is Proof.BUSY
    bob = later(verifier, "bob")
    slow.release(MAX_OF_ONE + 1)
    assert await bob is Proof.RIGHT
    assert {await each for each in tried} == {Proof.WRONG}


async def test_accounts_take_turns(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_OF_ONE", 5)
    verifier = PasswordVerifier()
    tried = [later(verifier, "ann", f"guess {number}") for number in range(5)]
    bob = later(verifier, "bob")
    slow.release(3)
    assert await bob is Proof.RIGHT
    assert [each.done() for each in tried] == [True, True, False, False, False]
    slow.release(3)
    assert {await each for each in tried} == {Proof.WRONG}
    assert slow.begun == ["ann", "ann", "bob", "ann", "ann", "ann"]


async def test_all_accounts_together_wait_in_a_bounded_queue(slow: Slow) -> None:
    verifier = PasswordVerifier()
    asked = [later(verifier, f"user {number}") for number in range(MAX_WAITING)]
    assert verifier.verify(VerifyPassword("one more", RIGHT)) is Proof.BUSY
    slow.release(MAX_WAITING)
    assert set(await asyncio.gather(*asked)) == {Proof.RIGHT}
    assert await proof_of(verifier, "user 0") is Proof.RIGHT


async def test_guesses_push_no_right_password_out_of_memory(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WRONG", 3)
    slow.release(100)
    verifier = PasswordVerifier()
    await proof_of(verifier, "ann")
    for number in range(10):
        assert await proof_of(verifier, "ann", f"guess {number}") is Proof.WRONG
    assert verifier.verify(VerifyPassword("ann", RIGHT)) is Proof.RIGHT
    assert verifier.verify(VerifyPassword("ann", "guess 9")) is Proof.WRONG
    assert isinstance(verifier.verify(VerifyPassword("ann", "guess 0")), asyncio.Future)


async def test_what_is_not_used_is_forgotten_first(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_REMEMBERED", 2)
    slow.release(100)
    verifier = PasswordVerifier()
    for name in ("ann", "bob", "ann", "cid"):
        await proof_of(verifier, name)
    assert verifier.verify(VerifyPassword("ann", RIGHT)) is Proof.RIGHT
    assert isinstance(verifier.verify(VerifyPassword("bob", RIGHT)), asyncio.Future)


async def test_who_waits_too_long_is_told_and_the_result_is_remembered(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "PATIENCE_S", 0.01)
    verifier, asked = PasswordVerifier(), VerifyPassword("ann", RIGHT)
    assert await proof_of(verifier, "ann") is Proof.BUSY
    assert verifier.verify(asked) is Proof.BUSY, "who asks again about the same try waits no longer in all"
    slow.release()
    await asyncio.to_thread(verifier.close, wait=True)
    await asyncio.sleep(0)  # what the thread has said is heard
    assert verifier.verify(asked) is Proof.RIGHT
    assert slow.begun == ["ann"]
