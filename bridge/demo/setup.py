"""What the demo runs on: an embedded Kafka, a local SuprSend, the bridge, and a small shop whose services write records.

The shop is seeded, so that a run can be repeated; two mishaps happen on the way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from bridge import jsontext
from bridge.kafka.tools.mock import DemoProducer, MockCluster
from bridge.observe.logs import Logs
from bridge.sandbox.process import SandboxProcess
from bridge.service.app import App
from bridge.settings.model import Settings

POISON_AT = 60
OUTAGE_AT = 4.0
OUTAGE_SECONDS = 5.0


@dataclass(slots=True)
class Story:
    """What was done to the bridge so far, as the screen tells it."""

    written: int = 0
    poison: float | None = None
    outage: tuple[float, float | None] | None = None
    done: bool = False
    failed: str | None = None
    began: float = field(default_factory=time.monotonic)

    def outage_over(self) -> bool:
        """Whether SuprSend answers as it should."""
        return self.outage is None or self.outage[1] is not None


@dataclass(frozen=True, slots=True)
class DemoSetup:
    app: App
    sandbox: SandboxProcess
    kafka: MockCluster
    story: Story


def rules_directory() -> Path:
    """The rules of the shop: those of the repository, or the copy that the package carries."""
    here = Path(__file__).resolve().parent
    for path in (here.parents[1] / "config" / "rules", here / "rules"):
        if path.is_dir():
            return path
    message = "the demo's rules are missing: install the package again"
    raise FileNotFoundError(message)


def demo_settings(bootstrap: str, sandbox: SandboxProcess) -> Settings:
    """The settings of the demo: those that a person would write, and nothing sped up but the probes."""
    workspace = sandbox.workspace
    return Settings.model_validate(
        {
            "kafka": {
                "bootstrap_servers": (bootstrap,),
                "topics": tuple(TOPICS),
                "group_id": "shop-notifications",
                "start_from": "earliest",
                "dead_letter_topic": DEAD_LETTERS,
            },
            "suprsend": {
                "base_url": sandbox.url,
                "workspace_key": workspace.key,
                "workspace_secret": workspace.secret,
            },
            "rules": {"path": str(rules_directory())},
        }
    )


@contextmanager
def set_up(rate: float, records: int | None, seed: int) -> Iterator[DemoSetup]:
    """Everything up and running; all of it is gone when the block is left."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess())
        kafka = stack.enter_context(MockCluster({**TOPICS, DEAD_LETTERS: 1}))
        quiet = stack.enter_context(Path(os.devnull).open("wb"))
        logs = Logs(descriptor=quiet.fileno(), form="json")
        logs.capture_libraries()
        stack.callback(logs.close)
        app = App(demo_settings(kafka.bootstrap, sandbox), logs)
        story = Story()
        app.start()
        feed = threading.Thread(
            target=_feed, args=(kafka.bootstrap, sandbox, story, rate, records, seed), name="feed", daemon=True
        )
        feed.start()
        yield DemoSetup(app, sandbox, kafka, story)


def _feed(bootstrap: str, sandbox: SandboxProcess, story: Story, rate: float, records: int | None, seed: int) -> None:
    """Write at an even rate until the story is over; make both mishaps happen on the way."""
    try:
        feeder = DemoProducer(bootstrap)
        poison_at = POISON_AT if records is None or records > POISON_AT else max(0, (records or 1) // 2)
        for record in Shop(seed).records(poison_at):
            if story.done or (records is not None and story.written >= records):
                break
            feeder.write(record.topic, record.key, record.value)
            story.written += 1
            if record.poison:
                story.poison = time.monotonic() - story.began
            _weather(sandbox, story)
            ahead = story.written / rate - (time.monotonic() - story.began)
            if ahead > 0:
                time.sleep(ahead)
        if feeder.flush():
            story.failed = "not every record could be written to the embedded Kafka"
    except Exception as error:  # noqa: BLE001 (shown on the screen and in the summary)
        story.failed = f"the feed ended: {error}"
    _mend(sandbox, story)
    story.done = True


def _weather(sandbox: SandboxProcess, story: Story) -> None:
    at = time.monotonic() - story.began
    if story.outage is None and at >= OUTAGE_AT:
        sandbox.post_faults({"fault": "status", "status": 503, "apply": False})
        story.outage = (at, None)
    elif story.outage is not None and story.outage[1] is None and at >= story.outage[0] + OUTAGE_SECONDS:
        _mend(sandbox, story)


def _mend(sandbox: SandboxProcess, story: Story) -> None:
    if story.outage is not None and story.outage[1] is None:
        sandbox.clear_faults()
        story.outage = (story.outage[0], time.monotonic() - story.began)


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


class ShopRecord(NamedTuple):
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

    def records(self, poison_at: int | None = None) -> Iterator[ShopRecord]:
        """Records without end; the one numbered `poison_at` is an order whose service wrote half of it."""
        makers = (self._order, self._order, self._viewed, self._shipped, self._comment, self._payment)
        for number in count():
            made = makers[self._rng.randrange(len(makers))]()
            if number == poison_at:
                made = ShopRecord(ORDERS, b"u3", b'{"id": "o-broken", "type": "order.placed", "total": 12', poison=True)
            yield made

    def _person(self) -> dict[str, str]:
        number = self._rng.randrange(len(_PEOPLE))
        first, last = _PEOPLE[number]
        return {"id": f"u{number}", "first_name": first, "last_name": last}

    def _order(self) -> ShopRecord:
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
        return _fed(ORDERS, person["id"], order)

    def _shipped(self) -> ShopRecord:
        if not self._open:
            return self._viewed()
        order = self._rng.choice(self._open)
        customer = order["customer"]
        shipped = {"id": order["id"], "type": "order.shipped", "tenant": order["tenant"], "customer": customer}
        return _fed(ORDERS, customer["id"], {**shipped, "carrier": self._rng.choice(("Post", "Parcel One"))})

    def _viewed(self) -> ShopRecord:
        person = self._person()
        return _fed(ORDERS, person["id"], {"id": f"v-{self._rng.randrange(10**6)}", "type": "order.viewed"})

    def _comment(self) -> ShopRecord:
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
        return _fed(COMMENTS, author["id"], comment)

    def _payment(self) -> ShopRecord:
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
        return _fed(PAYMENTS, str(payment["customer"]), payment)


def _fed(topic: str, key: str, value: dict[str, Any]) -> ShopRecord:
    return ShopRecord(topic, key.encode(), jsontext.dumps(value))
