"""Passwords and their hashes, by bcrypt or argon2id.

In: a stored hash and what a client sent. Out: whether it is the password. It takes some ten to hundred milliseconds, so
whoever calls it does so in a thread (EntryPoint) or has time (the CLI). The libraries let other threads run meanwhile.
"""

from __future__ import annotations

import argon2
import bcrypt

_ARGON2ID = "$argon2id$"
_BCRYPT_SALT = len("$2b$10$") + 22
_BCRYPT_HASH = 31
_FALLBACK = "$2b$12$" + "." * (22 + _BCRYPT_HASH)
_HASHER = argon2.PasswordHasher()


def verify_password(hashed: str, password: str) -> bool:
    """Whether the password has this hash; no password has a malformed one."""
    try:
        if hashed.startswith(_ARGON2ID):
            return _HASHER.verify(hashed, password)
        return bcrypt.checkpw(password.encode(), hashed.encode())
    except (ValueError, argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        # Among them: another password, and one longer than the 72 bytes that bcrypt looks at.
        return False


def hash_password(password: str) -> str:
    """Returns a new hash, by argon2id."""
    return _HASHER.hash(password)


def fake_hash(like: str) -> str:
    """Returns a hash that nobody knows a password for, as costly as another one."""
    if like.startswith(_ARGON2ID):
        *head, digest = like.split("$")
        return "$".join([*head, "A" * len(digest)])
    return like[:_BCRYPT_SALT] + "." * _BCRYPT_HASH if like.startswith("$2") else _FALLBACK
