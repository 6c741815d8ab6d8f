"""The domain events of a small shop, as its services would write them to Kafka: seeded, so that a run can be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any, NamedTuple

from bridge import jsontext

ORDERS, COMMENTS, PAYMENTS = "orders.v1", "comments.v1", "payments.v1"
TOPICS = {ORDERS: 4, COMMENTS: 2, PAYMENTS: 2}
"""Topic → partitions."""
DEAD_LETTERS = "shop.dead-letters"

_PEOPLE = (
    ("Ada", "Lovelace"),
    ("Grace", "Hopper"),
    ("Alan", "Turing"),
    ("Katherine", "Johnson"),
    ("Edsger", "Dijkstra"),
    ("Radia", "Perlman"),
    ("Barbara", "Liskov"),
    ("Dennis", "Ritchie"),
)
_GOODS = (
    ("teapot-blue", 3495),
    ("mug-enamel", 1250),
    ("beans-500g", 1490),
    ("kettle-goose", 7900),
    ("filter-100", 590),
    ("scale-pocket", 4200),
)
_REMARKS = ("Is this back in stock?", "Thanks, arrived today ☕", "Could you look at this?", "Wrong size, sadly.")


class Feed(NamedTuple):
    """One record to write."""

    topic: str
    key: bytes
    value: bytes
    poison: bool = False


class Shop:
    """Makes records in the order in which they happen; the n-th one is the same in every run with the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._rng = Random(seed)
        self._orders = 0
        self._open: list[dict[str, Any]] = []

    def records(self, poison_at: int | None = None) -> Iterator[Feed]:
        """Records without end; the one numbered `poison_at` is an order whose service wrote half of it."""
        makers = (self._order, self._order, self._viewed, self._shipped, self._comment, self._payment)
        for number in count():
            made = makers[self._rng.randrange(len(makers))]()
            if number == poison_at:
                made = Feed(ORDERS, b"u3", b'{"id": "o-broken", "type": "order.placed", "total": 12', poison=True)
            yield made

    def _person(self) -> dict[str, str]:
        number = self._rng.randrange(len(_PEOPLE))
        first, last = _PEOPLE[number]
        return {"id": f"u{number}", "first_name": first, "last_name": last}

    def _order(self) -> Feed:
        self._orders += 1
        person = self._person()
        items: list[dict[str, Any]] = [
            {"sku": sku, "qty": self._rng.randint(1, 3), "price": price}
            for sku, price in self._rng.sample(_GOODS, self._rng.randint(1, 3))
        ]
        order = {
            "id": f"o-{self._orders:06d}",
            "type": "order.placed",
            "tenant": self._rng.choice(("coffee-eu", "coffee-us")),
            "total": sum(item["qty"] * item["price"] for item in items),
            "currency": self._rng.choice(("EUR", "USD", None)),
            "method": self._rng.choice(("card", "sepa", "wallet")),
            "customer": person,
            "items": items,
            "invoice_url": f"https://files.example.com/invoices/o-{self._orders:06d}.pdf",
        }
        self._open = [*self._open[-20:], order]
        return _feed(ORDERS, person["id"], order)

    def _shipped(self) -> Feed:
        if not self._open:
            return self._viewed()
        order = self._rng.choice(self._open)
        customer = order["customer"]
        shipped = {"id": order["id"], "type": "order.shipped", "tenant": order["tenant"], "customer": customer}
        return _feed(ORDERS, customer["id"], {**shipped, "carrier": self._rng.choice(("Post", "Parcel One"))})

    def _viewed(self) -> Feed:
        person = self._person()
        return _feed(ORDERS, person["id"], {"id": f"v-{self._rng.randrange(10**6)}", "type": "order.viewed"})

    def _comment(self) -> Feed:
        author = self._person()
        mentions = self._rng.sample(range(len(_PEOPLE)), self._rng.randint(0, 2))
        comment = {
            "id": f"c-{self._rng.randrange(10**6):06d}",
            "type": "comment.created",
            "tenant": "coffee-eu",
            "text": self._rng.choice(_REMARKS),
            "product_id": self._rng.choice(_GOODS)[0],
            "author": {"id": author["id"], "name": f"{author['first_name']} {author['last_name']}"},
            "mentions": [{"user_id": f"u{number}"} for number in mentions],
        }
        return _feed(COMMENTS, author["id"], comment)

    def _payment(self) -> Feed:
        order: dict[str, Any] = (
            self._rng.choice(self._open) if self._open else {"id": "o-000000", "customer": {"id": "u0"}, "total": 100}
        )
        status = self._rng.choice(("succeeded", "succeeded", "succeeded", "failed", "pending"))
        payment = {
            "id": f"p-{order['id'][2:]}",
            "tenant": "coffee-eu",
            "customer": order["customer"]["id"],
            "status": status,
            "amount": order["total"],
            "currency": order.get("currency"),
            "failure": {"message": "The card has expired."} if status == "failed" else None,
            "receipts": [
                {"url": f"https://files.example.com/receipts/{order['id']}.pdf", "name": f"{order['id']}.pdf"}
            ],
        }
        return _feed(PAYMENTS, str(payment["customer"]), payment)


def _feed(topic: str, key: str, value: dict[str, Any]) -> Feed:
    return Feed(topic, key.encode(), jsontext.dumps(value))
