"""The companion's settings: `FF_COMPANION_*`. The one module that reads the environment. Called by `__main__`."""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fastforward_kit.http import parse_address

PREFIX = "FF_COMPANION_"


class Settings(BaseSettings):
    """What the companion is told from outside."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix=PREFIX, env_ignore_empty=True)

    admin: Path
    """Socket of Envoy's console."""
    listen: str
    """Where probes are answered: `HOST:PORT`."""
    drain_seconds: float = Field(default=30.0, ge=0.0, le=3600.0)
    """The longest that requests under way are waited for."""

    @field_validator("listen")
    @classmethod
    def _is_address(cls, text: str) -> str:
        parse_address(text)
        return text
