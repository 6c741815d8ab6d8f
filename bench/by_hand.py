"""What `make bench-rules` times: the guide's ten examples and six further rules, each beside the same written by hand.

By hand is what a good engineer writes for one topic and trusts: from a record's bytes to the bodies of its events, by
orjson and the standard library, with the default key's digest and the same escape where nothing matches. It shares
nothing with compiled rules and checks nothing that its author knows of the records. Both sides parse, map, make keys and
serialise; neither reads from Kafka, batches or calls.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from bridge.flow import PlainRecord
from bridge.jsontext import dumps, loads

ENV: Final = "workspace-key-0123456789"
NAMESPACE: Final = "cluster-1"
MADE: Final = 1_772_352_000_000
_EXAMPLES: Final = Path(__file__).parents[1] / "config" / "examples"
_FURTHER: Final = Path(__file__).with_name("further.yaml")

Hand = Callable[[Any, PlainRecord], Iterable[dict[str, Any]]]


class Case(NamedTuple):
    """One row: the rules, a topic, what its records hold, and the same by hand."""

    name: str
    rules: Path
    topic: str
    value: Callable[[int], Any]
    hand: Hand
    key: Any = None
    headers: tuple[tuple[str, bytes], ...] = ()

    def records(self, count: int) -> list[PlainRecord]:
        """Make records of the topic."""
        key = None if self.key is None else dumps(self.key)
        return [
            PlainRecord(self.topic, 0, n, dumps(self.value(n)), key=key, timestamp=MADE, headers=list(self.headers))
            for n in range(count)
        ]


def _keyed(rule: str, event: str, record: PlainRecord, recipient: str) -> str:
    topic, place = record.topic(), f"{record.partition()}:{record.offset()}"
    covered = "".join(f"{len(part)}:{part}" for part in ("k1", NAMESPACE, topic, rule, event))
    digest = blake2b(f"{covered}{place}:{MADE}:0:{recipient}".encode(), digest_size=14).hexdigest()
    shown = topic if len(topic) + 1 + len(place) <= 32 else ""
    return f"k1:{shown}:{place}:{digest}"


def _event(
    rule: str, event: str, record: PlainRecord, recipient: str, properties: Any, own: str | None = None
) -> dict[str, Any]:
    if own is None:
        insert = key = _keyed(rule, event, record, recipient)
    else:
        key = own
        insert = "i1:" + urlsafe_b64encode(blake2b(own.encode(), digest_size=27).digest()).decode()
    return {
        "$insert_id": insert,
        "$time": MADE,
        "event": event,
        "env": ENV,
        "distinct_id": recipient,
        "properties": properties,
        "$idempotency_key": key,
    }


def _cents(amount: int) -> str:
    return f"{amount // 100}.{amount % 100:02d}"


def _grouped(amount: int) -> str:
    return f"{amount // 100:,}.{amount % 100:02d}"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(number: float) -> int | float:
    return int(number) if number == int(number) else number


# The ten of the guide.


def _orders(n: int) -> Any:
    lines = [
        {"product": {"name": f"Kettle {k}"}, "qty": k, "unit_price": 123_450 + n * 7 % 1000 + k} for k in (1, 2, 3)
    ]
    return {"id": f"o-{n}", "type": "order.paid", "currency": "EUR", "customer": {"id": f"u{n}"}, "lines": lines}


def _orders_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    lines = value["lines"]
    if value["type"] != "order.paid" or not lines:
        return
    properties = {
        "order_id": value["id"],
        "total": _grouped(sum(line["qty"] * line["unit_price"] for line in lines)),
        "currency": value.get("currency") or "USD",
        "count": sum(line["qty"] for line in lines),
        "lines": [
            {
                "name": line["product"]["name"],
                "qty": line["qty"],
                "price": _grouped(line["unit_price"]),
                "sum": _grouped(line["qty"] * line["unit_price"]),
            }
            for line in lines
        ],
        "most_expensive": max(lines, key=lambda line: line["unit_price"])["product"]["name"],
    }
    yield _event("order-confirmed", "order_confirmed", record, value["customer"]["id"], properties)


def _github(n: int) -> Any:
    return {
        "action": "review_requested",
        "requested_reviewer": {"id": n, "login": "octocat"},
        "sender": {"login": "hubot"},
        "repository": {"full_name": "octo/hello", "default_branch": "main"},
        "pull_request": {
            "number": n,
            "title": "Say hello",
            "html_url": f"https://github.com/octo/hello/pull/{n}",
            "labels": [{"name": "docs"}, {"name": "small"}],
        },
    }


def _github_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    headers = {name: (text or b"").decode() for name, text in record.headers() or ()}
    reviewer = value.get("requested_reviewer")
    if headers["X-GitHub-Event"] != "pull_request" or value["action"] != "review_requested" or reviewer is None:
        return
    pull = value["pull_request"]
    properties = {
        "repository": value["repository"]["full_name"],
        "number": pull["number"],
        "title": pull["title"],
        "by": value["sender"]["login"],
        "link": pull["html_url"],
        "labels": [label["name"] for label in pull["labels"]],
    }
    own = headers["X-GitHub-Delivery"]
    yield _event("review-requested", "review_requested", record, f"github-{reviewer['id']}", properties, own=own)


def _stripe(n: int) -> Any:
    held = {"amount": 1999 + n, "currency": "eur", "metadata": {"user_id": f"u{n}", "order_id": f"o-{n}"}}
    return {"id": f"evt_{n}", "type": "payment_intent.succeeded", "livemode": True, "data": {"object": held}}


_STRIPE: Final = {
    f"payment_intent.{end}": f"payment_{end.removeprefix('payment_')}"
    for end in ("succeeded", "payment_failed", "requires_action")
}


def _stripe_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    event = _STRIPE.get(value["type"])
    if event is None:
        return
    held = value["data"]["object"]
    amount, currency, metadata = held["amount"], held["currency"], held["metadata"]
    properties = {
        "amount": str(amount) if currency in ("jpy", "krw", "vnd", "clp") else _cents(amount),
        "currency": currency.upper(),
    }
    if metadata.get("order_id"):
        properties["order_id"] = metadata["order_id"]
    failed = held.get("last_payment_error")
    if failed and failed.get("message"):
        properties["reason"] = failed["message"]
    action = held.get("next_action")
    if action and action["redirect_to_url"].get("url"):
        properties["next_step"] = action["redirect_to_url"]["url"]
    properties["test_mode"] = not value["livemode"]
    yield _event("payment-intent", event, record, metadata["user_id"], properties, own=value["id"])


def _debezium(n: int) -> Any:
    row = {"id": 7, "owner_id": n, "agent_id": 9, "subject": "No sound"}
    return {"op": "u", "before": {**row, "status": "open"}, "after": {**row, "status": "solved"}}


def _debezium_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    before, after, op = value["before"] or {}, value["after"], value["op"]
    ticket = loads(record.key() or b"{}")["id"]
    if op == "u" and before["status"] != after["status"]:
        properties = {
            "ticket": ticket,
            "subject": after["subject"],
            "from": before["status"],
            "to": after["status"],
            "closed": after["status"] in ("solved", "closed"),
        }
        recipient = f"user-{after['owner_id']}"
        yield _event("ticket-status", "ticket_status_changed", record, recipient, properties)
    agent = after.get("agent_id")
    if op in ("u", "c") and agent is not None and before.get("agent_id") != agent:
        properties = {"ticket": ticket, "subject": after["subject"]}
        yield _event("ticket-assigned", "ticket_assigned", record, f"agent-{agent}", properties)


def _cloudevents(n: int) -> Any:
    data = {
        "author": {"id": "u1", "name": "Ada"},
        "text": "Could you both\n  look at this? It is about the order of things that are to be delivered next year.",
        "mentions": [{"id": f"u{n + 2}", "role": "editor"}, {"id": "v3"}, {"id": f"u{n + 2}"}, {"id": "u1"}],
    }
    attributes = {"specversion": "1.0", "id": f"e-{n}", "source": "/docs", "subject": "Roadmap"}
    return {**attributes, "type": "com.example.docs.comment.created", "data": data}


_WHITE: Final = re.compile(r"\s+")


def _cloudevents_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    if value["type"] != "com.example.docs.comment.created":
        return
    data = value["data"]
    author = data["author"]
    people: dict[Any, Any] = {}
    for person in data["mentions"]:
        people.setdefault(person["id"], person)
    text = _WHITE.sub(" ", data["text"])
    excerpt = text[:79] + "…" if len(text) > 80 else text
    told = (person for name, person in sorted(people.items()) if name != author["id"])
    for person in told:
        properties = {
            "document": value["subject"],
            "by": author["name"],
            "role": person.get("role") or "reader",
            "excerpt": excerpt,
            "others": len(people) - 1,
        }
        yield _event("doc-mention", "mentioned_in_comment", record, person["id"], properties)


def _tenants(n: int) -> Any:
    return {"event": "created", "domain": "acme.example", "account": {"id": f"u{n}", "name": "Ada"}}


_TENANTS: Final = {"acme.example": "acme", "globex.example": "globex"}


def _tenants_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    recipient = value["account"]["id"]
    if value["event"] == "created":
        made = _event("account-created", "welcome", record, recipient, {"name": value["account"]["name"]})
        made["tenant_id"] = _TENANTS[value["domain"]]
        yield made
    elif value["event"] == "locked":
        made = _event("account-locked", "account_locked", record, recipient, {"since": value["at"]})
        if value["domain"] in _TENANTS:
            made["tenant_id"] = _TENANTS[value["domain"]]
        yield made


def _recipients(n: int) -> Any:
    people = {"owner": f"u{n}", "managers": [f"u{n}", f"v{n}"], "watchers": ["w3", f"v{n}", "w4"]}
    return {"kind": "milestone", "name": "Apollo", "milestone": "Landing", **people}


def _recipients_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    if value["kind"] != "milestone":
        return
    told: dict[str, str] = {}
    if value["owner"] is not None:
        told[value["owner"]] = "owner"
    for who in value.get("managers") or ():
        told.setdefault(who, "manager")
    for who in value.get("watchers") or ():
        told.setdefault(who, "watcher")
    for who, why in sorted(told.items()):
        properties = {"project": value["name"], "milestone": value["milestone"], "because_you_are": why}
        yield _event("milestone-reached", "milestone_reached", record, who, properties)


def _appointments(n: int) -> Any:
    return {
        "change": "moved",
        "patient_id": f"p{n}",
        "zone": "Europe/Berlin",
        "starts_at": f"2026-03-03T09:{n // 60 % 60:02d}:{n % 60:02d}+01:00",
        "minutes": 45,
        "previous": {"starts_at": f"2026-03-02T08:{n // 60 % 60:02d}:{n % 60:02d}+01:00"},
    }


_BERLIN: Final = ZoneInfo("Europe/Berlin")
_NEW_YORK: Final = ZoneInfo("America/New_York")
_PARIS: Final = ZoneInfo("Europe/Paris")


def _appointments_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    starts = datetime.fromisoformat(value["starts_at"])
    before = datetime.fromisoformat(value["previous"]["starts_at"])
    if value["change"] != "moved" or starts == before:
        return
    berlin = starts.astimezone(_BERLIN)
    if value["zone"] == "America/New_York":
        shown = starts.astimezone(_NEW_YORK).strftime("%A, %B %e, %Y, %I:%M %p")
    else:
        shown = berlin.strftime("%A, %e %B %Y, %H:%M")
    properties = {
        "starts": shown.replace("  ", " "),
        "ends_at": (starts + timedelta(minutes=value["minutes"])).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "date": berlin.strftime("%Y-%m-%d"),
        "days_later": (starts - before).days,
        "changed_at": _utc(MADE / 1000),
    }
    yield _event("appointment-moved", "appointment_moved", record, value["patient_id"], properties)


def _contracts(n: int) -> Any:
    files = "https://files.example.com"
    documents = [
        {"url": f"{files}/c-{n}.pdf", "title": "Contract", "required": True},
        {"url": f"{files}/note.pdf", "title": "Note", "internal": True},
        {"url": f"{files}/annex.pdf"},
        {"url": None, "title": "Later"},
    ]
    return {"state": "signed", "number": f"c-{n}", "customer_id": f"u{n}", "documents": documents}


def _contracts_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    number, recipient = value["number"], value["customer_id"]
    if value["state"] == "signed":
        ready = [document for document in value["documents"] if document["url"] is not None]
        attachments = [
            {
                "url": document["url"],
                "filename": f"{document.get('title') or 'document'}.pdf",
                "ignore_if_error": not document.get("required"),
            }
            for document in ready
            if not document.get("internal")
        ]
        properties: dict[str, Any] = {"contract": number, "documents": len(ready)}
        if attachments:
            properties["$attachments"] = attachments
        yield _event("contract-signed", "contract_signed", record, recipient, properties)
    elif value["state"] == "invoiced":
        attachments = [{"url": value["invoice_url"], "filename": f"invoice-{number}.pdf"}]
        if value.get("terms_url"):
            attachments.append({"url": value["terms_url"], "filename": "terms.pdf", "ignore_if_error": True})
        properties = {"contract": number, "$attachments": attachments}
        yield _event("invoice-ready", "invoice_ready", record, recipient, properties)


def _claims(n: int) -> Any:
    person = {"id": f"u{n}", "name": "Ada", "birthday": "1815-12-10", "iban": "DE00"}
    return {
        "type": "claim.decided",
        "id": f"c-{n}",
        "amount": 120.5,
        "letter": None,
        "insured": {**person, "email": "ada.lovelace@example.com", "phone": 4_915_551_234},
        "details": {"kind": "dental", "diagnosis": "secret"},
        "internal": {"clerk": "Bob"},
    }


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


_MASK: Final = re.compile("^(.)[^@]*")


def _claims_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    insured = value["insured"]
    recipient = insured["id"]
    if value["type"] == "claim.received":
        properties = {"claim": value["id"], "received": value["at"], "kind": value["details"]["kind"]}
        yield _event("claim-received", "claim_received", record, recipient, properties)
    elif value["type"] == "claim.decided":
        for holder, name in ((insured, "birthday"), (insured, "iban"), (value["details"], "diagnosis")):
            holder.pop(name, None)
        value.pop("internal", None)
        insured["email"] = _MASK.sub(r"\1…", insured["email"])
        insured["phone"] = "…" + str(insured["phone"])[-3:]
        yield _event("claim-decided", "claim_decided", record, recipient, _without_nulls(value))


# The six further rules.


def _bookings(n: int) -> Any:
    days = {
        "from": f"2026-05-03T15:{n // 60 % 60:02d}:{n % 60:02d}Z",
        "until": f"2026-05-10T11:{n // 60 % 60:02d}:{n % 60:02d}+02:00",
    }
    return {
        "guest": f"g{n}",
        **days,
        "made": 1_770_000_000 + n,
        "invoiced": f"2026-02-03T04:{n // 60 % 60:02d}:{n % 60:02d}Z",
    }


def _bookings_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    begins, ends = datetime.fromisoformat(value["from"]), datetime.fromisoformat(value["until"])
    due = datetime.fromisoformat(value["invoiced"]) + timedelta(days=14)
    properties = {
        "nights": (ends - begins).days,
        "day": begins.astimezone(_PARIS).strftime("%d.%m.%Y"),
        "made_at": _utc(value["made"]),
        "due": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    yield _event("dates", "booking_reminder", record, value["guest"], properties)


def _alarms(n: int) -> Any:
    line = f"2026-02-03 04:05:06 ERROR host=web-{n} E{n % 10_000:04d} after E0042: 15000 ms, request 8812345 was lost"
    return {"team": f"t{n}", "line": line}


_WORST: Final = re.compile("ERROR|FATAL")
_HOST: Final = re.compile("host=([a-z0-9-]+)")
_CODE: Final = re.compile("E[0-9]{4}")
_LONG: Final = re.compile("[0-9]{4,}")


def _alarms_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    line = value["line"]
    if not _WORST.search(line):
        return
    host = _HOST.search(line)
    if host is not None:
        properties = {"host": host[1], "codes": _CODE.findall(line), "text": _LONG.sub("#", line)}
        yield _event("patterns", "alarm_raised", record, value["team"], properties)


def _receipts(n: int) -> Any:
    parts = [{"name": f"Part {k}", "price": 1_999 + n % 100 + k} for k in range(5)]
    return {"buyer": f"b{n}", "total": 10_995 + n, "rate": 20, "parts": parts}


def _receipts_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    total = value["total"]
    properties = {
        "total": _cents(total),
        "tax": _cents(int(total * value["rate"] / 100 + 0.5)),
        "parts": [{"name": part["name"], "price": _cents(part["price"])} for part in value["parts"]],
    }
    yield _event("money", "receipt", record, value["buyer"], properties)


def _boards(n: int) -> Any:
    rows = [
        {"name": f"player-{(k * 37 + n) % 25}", "team": f"team-{k % 5}", "score": (k * 7919 + n) % 1000 + k / 32}
        for k in range(30)
    ]
    return {"league": f"l{n}", "rows": rows}


def _boards_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    rows = value["rows"]
    best = sorted(rows, key=lambda row: row["score"])[: -3 - 1 : -1]
    teams: dict[str, int] = {}
    for row in rows:
        teams[row["team"]] = teams.get(row["team"], 0) + 1
    properties = {
        "top": [{"name": row["name"], "score": _number(row["score"])} for row in best],
        "teams": [{"team": team, "players": count} for team, count in sorted(teams.items())],
        "names": sorted({row["name"] for row in rows}),
    }
    yield _event("sorting", "leader_board", record, value["league"], properties)


def _carts(n: int) -> Any:
    items = [{"sku": f"sku-{k}", "qty": k % 4, "price": 100 + (k * 31 + n) % 900, "note": None} for k in range(100)]
    return {"user": f"u{n}", "items": items}


def _carts_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    items = value["items"]
    if not items:
        return
    dearest = items[0]
    for item in items:
        if item["price"] >= dearest["price"]:
            dearest = item
    properties = {
        "total": sum(item["qty"] * item["price"] for item in items),
        "items": [{"sku": i["sku"], "qty": i["qty"], "price": i["price"]} for i in items if i["qty"] > 0],
        "dearest": dearest["sku"],
    }
    yield _event("cart", "cart_left", record, value["user"], properties)


def _chats(n: int) -> Any:
    text = "Who can have a look at the build that has been red since this morning?\nThanks!"
    mentions = [f"u{n}", "v1", "v2", f"u{n}"]
    return {"author": {"name": "Ada"}, "room": "Build-Room", "text": text, "mentions": mentions}


def _chats_hand(value: Any, record: PlainRecord) -> Iterator[dict[str, Any]]:
    told = sorted(set(value["mentions"]))
    line = value["text"].split("\n", 1)[0]
    properties = {
        "by": value["author"]["name"],
        "room": value["room"].lower(),
        "text": line[:59] + "…" if len(line) > 60 else line,
        "others": len(told) - 1,
    }
    for who in told:
        yield _event("mention", "mentioned", record, who, properties)


_GITHUB: Final = (("X-GitHub-Event", b"pull_request"), ("X-GitHub-Delivery", b"72d3162e-cc78-11e3-81ab-4c9367dc0958"))

CASES: Final = (
    Case("1. orders", _EXAMPLES / "orders.yaml", "shop.orders", _orders, _orders_hand),
    Case("2. github", _EXAMPLES / "github.yaml", "github.webhooks", _github, _github_hand, headers=_GITHUB),
    Case("3. stripe", _EXAMPLES / "stripe.yaml", "stripe.events", _stripe, _stripe_hand),
    Case("4. debezium", _EXAMPLES / "debezium.yaml", "db.support.tickets", _debezium, _debezium_hand, key={"id": 7}),
    Case("5. cloudevents", _EXAMPLES / "cloudevents.yaml", "docs.events", _cloudevents, _cloudevents_hand),
    Case("6. tenants", _EXAMPLES / "tenants.yaml", "accounts.v2", _tenants, _tenants_hand),
    Case("7. recipients", _EXAMPLES / "recipients.yaml", "projects.v1", _recipients, _recipients_hand),
    Case("8. dates", _EXAMPLES / "dates.yaml", "appointments.v1", _appointments, _appointments_hand),
    Case("9. attachments", _EXAMPLES / "attachments.yaml", "contracts.v1", _contracts, _contracts_hand),
    Case("10. personal data", _EXAMPLES / "personal-data.yaml", "claims.v1", _claims, _claims_hand),
    Case("dates", _FURTHER, "further.dates", _bookings, _bookings_hand),
    Case("patterns", _FURTHER, "further.patterns", _alarms, _alarms_hand),
    Case("money", _FURTHER, "further.money", _receipts, _receipts_hand),
    Case("sorting", _FURTHER, "further.sorting", _boards, _boards_hand),
    Case("cart of 100", _FURTHER, "further.cart", _carts, _carts_hand),
    Case("mention", _FURTHER, "further.mention", _chats, _chats_hand),
)
