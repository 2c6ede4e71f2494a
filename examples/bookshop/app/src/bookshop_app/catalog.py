"""The bookshop itself: what each tenant sells, its orders and its prices.

In: a tenant, a book's id, an order. Out: books, orders, price changes; a `ShopError` says what is wrong.
rest.py, websocket.py and rpc.py call it, so that the three protocols tell the same story. All of it lives in memory.
"""

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from itertools import count, islice

TENANT_HEADER = "x-ff-tenant"
PriceChanges = asyncio.Queue[Mapping[str, object]]
DEFAULT_TENANT = "public"
MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Book:
    """Something to sell; money is counted in cents."""

    id: str
    title: str
    author: str
    price_cents: int
    stock: int = 500


@dataclass(frozen=True, slots=True)
class Order:
    """An order whose books were taken from the stock."""

    id: str
    book: str
    quantity: int
    total_cents: int


CATALOGUES = {
    DEFAULT_TENANT: (
        Book("pride", "Pride and Prejudice", "Jane Austen", 899),
        Book("emma", "Emma", "Jane Austen", 949),
        Book("moby", "Moby-Dick", "Herman Melville", 1199),
    ),
    "acme": (
        Book("dune", "Dune", "Frank Herbert", 1099),
        Book("earthsea", "A Wizard of Earthsea", "Ursula K. Le Guin", 999),
        Book("dispossessed", "The Dispossessed", "Ursula K. Le Guin", 1149),
    ),
    "globex": (
        Book("styles", "The Mysterious Affair at Styles", "Agatha Christie", 799),
        Book("orient", "Murder on the Orient Express", "Agatha Christie", 999),
        Book("whose-body", "Whose Body?", "Dorothy L. Sayers", 849),
    ),
}


class Reason(Enum):
    """Why the shop refuses; each protocol has its own code for it."""

    NOT_FOUND = "not found"
    INVALID = "invalid"
    SOLD_OUT = "sold out"


class ShopError(Exception):
    """A refusal, as a sentence for the customer; `problems` names each part that is wrong."""

    def __init__(self, reason: Reason, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.problems = problems


class Shop:
    """One tenant's shop; another tenant's books and orders can't be reached from it."""

    def __init__(self, tenant: str, books: tuple[Book, ...]) -> None:
        self.tenant = tenant
        self._books = {book.id: book for book in books}
        self._orders: dict[str, Order] = {}
        self._order_numbers = count(1)
        self._watchers: set[PriceChanges] = set()

    def books(self, author: str = "", limit: int = MAX_LIMIT) -> list[Book]:
        """The books whose author's name contains `author`, in any case; at most `limit`."""
        if not 1 <= limit <= MAX_LIMIT:
            raise ShopError(Reason.INVALID, f"limit must be a whole number from 1 to {MAX_LIMIT}.")
        return list(islice((book for book in self._books.values() if author.lower() in book.author.lower()), limit))

    def book(self, book_id: str) -> Book:
        """The book of that id."""
        if book_id not in self._books:
            raise ShopError(Reason.NOT_FOUND, f"Book {book_id!r} is not in the catalogue of {self.tenant!r}.")
        return self._books[book_id]

    def place_order(self, book_id: str, quantity: int) -> Order:
        """Take the books from the stock and keep the order."""
        book = self.book(book_id)
        if quantity > book.stock:
            raise ShopError(Reason.SOLD_OUT, f"Only {book.stock} of {book_id!r} left, {quantity} ordered.")
        self._books[book_id] = replace(book, stock=book.stock - quantity)
        order = Order(f"{self.tenant}-{next(self._order_numbers)}", book_id, quantity, quantity * book.price_cents)
        self._orders[order.id] = order
        return order

    def orders(self) -> list[Order]:
        """The newest orders that were placed with this tenant, at this instance."""
        return list(islice(reversed(self._orders.values()), MAX_LIMIT))

    def order(self, order_id: str) -> Order:
        """An order that was placed with this tenant, at this instance."""
        if order_id not in self._orders:
            raise ShopError(Reason.NOT_FOUND, f"Order {order_id!r} was not placed here.")
        return self._orders[order_id]

    def restock(self, book_id: str, stock: int | None, price_cents: int | None) -> Book:
        """Set what is given; everyone who watches learns of a new price."""
        old = self.book(book_id)
        new = replace(old, stock=old.stock if stock is None else stock, price_cents=price_cents or old.price_cents)
        self._books[book_id] = new
        if new.price_cents != old.price_cents:
            change = {"book": book_id, "price_cents": new.price_cents, "previous_price_cents": old.price_cents}
            for queue in self._watchers:
                queue.put_nowait(change)
        return new

    @contextmanager
    def watch_prices(self) -> Generator[PriceChanges]:
        """A queue that receives every price change while the block runs."""
        queue = PriceChanges()
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)


class Bookshop:
    """This process: its name and shard (a canary is the same program by another name) and every tenant's shop."""

    def __init__(self, name: str, shard: str) -> None:
        self.name = name
        self.shard = shard
        self._shops = {tenant: Shop(tenant, books) for tenant, books in CATALOGUES.items()}

    def shop(self, tenant: str | None) -> Shop:
        """The tenant's shop; without a tenant, the public one."""
        shop = self._shops.get(tenant or DEFAULT_TENANT)
        if shop is None:
            raise ShopError(Reason.NOT_FOUND, f"Tenant {tenant!r} has no catalogue.")
        return shop

    @property
    def signature(self) -> dict[str, str]:
        """The headers (in gRPC: initial metadata) of every answer."""
        return {"x-served-by": self.name, "x-shard": self.shard}
