"""The bookshop that these tests share."""

from collections.abc import Generator

import pytest

from support.bookshop import Bookshop, running


@pytest.fixture(scope="package")
def bookshop() -> Generator[Bookshop]:
    """Tests that change it change a book that no other test looks at."""
    with running("--name=catalog-v7", "--shard=north") as shop:
        yield shop
