"""An example of each finding in rules, for the page of the docs: a test makes sure that each has its finding."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["EXAMPLES"]

_RULE = "rules:\n  - name: placed\n    topics: [orders.v1]\n    event: placed\n    distinct_id: ${ .id }\n"

_EXAMPLES: dict[str, str] = {
    "R002": "- name: placed\n  topics: [orders.v1]\n",
    "R003": "propertys: {total: '${ .total }'}",
    "R004": "rules:\n  - name: placed\n    topics: [orders.v1]\n    event: placed\n",
    "R005": "final: 'true'",
    "R006": f"version: 2\n{_RULE}",
    "R007": "topics: [orders.*]",
    "R008": f"topics: {{orders.v1: {{decode: avro}}}}\n{_RULE}",
    "R009": "name: Order Placed",
    "R010": f"{_RULE}  - name: placed\n    topics: [orders.v1]\n    event: placed_again\n    distinct_id: ${{ .id }}\n",
    "R011": "name: placed\nwas: placed",
    "R012": "when: .total > 0 and",
    "R013": "properties: {name: '${ .name | upper }'}",
    "R014": "properties: {type: '${ $type }'}",
    "R015": "properties: {sent: '${ now | todate }'}",
    "R016": 'when: .type == "placed" && .total > 0',
    "R017": 'when: .id | test("(?=o)-")',
    "R018": f"defs: 'def map(f): .[] | f;'\n{_RULE}",
    "R019": 'properties: {at: \'${ .at | parse_time | format_time("%H:%M"; "Vienna") }\'}',
    "R020": "distinct_id: user-${ .id",
    "R021": "distinct_id: .customer.id",
    "R022": "properties: {'${ .key }': 1}",
    "R023": "when: true",
    "R024": "event: order_${ .status }",
    "R025": "event: ss_placed",
    "R026": "properties: {$total: '${ .total }'}",
    "R027": "event: order_${ .status }\nevents: [order_paid, ordr_sent]",
    "R028": "distinct_id: ''",
    "R029": "attachments: [{url: /data/invoice.pdf}]",
    "R030": "max_age: 24 hours",
    "R031": f"defaults: {{event: placed}}\n{_RULE}",
    "R032": "distinct_id: ${ $item.id }",
    "R033": "for_each: .people[]\ndistinct_id: ${ $item.id }\nidempotency_key: ${ .id }",
    "R034": (
        f"{_RULE}    idempotency_key: ${{ .id }}\n"
        "  - name: paid\n    topics: [/orders\\..*/]\n    event: paid\n    distinct_id: ${ .id }\n    idempotency_key: ${ .id }\n"
    ),
    "R036": "properties: {count: '${ \"count: \" + 1 }'}",
    "R037": "when: .items | length",
    "R038": 'when: .type = "placed"',
    "R039": 'when: .type == "placed" or "paid"',
    "R040": 'when: .type == "placed" and .type == "paid"',
    "R042": "properties: {public: '${ .public // true }'}",
    "R043": "when: .total // 0 > 5",
    "R044": "properties: {name: '${ .name? // \"you\" }'}",
    "R045": "properties: {at: '${ $timestamp | todate }'}",
    "R046": "properties: {order: '${ . }'}",
    "R047": "for_each: .people\ndistinct_id: ${ $item.id }",
    "R048": "distinct_id: customer.id",
    "R049": f"topics: {{orders.v2: {{decode: string}}}}\n{_RULE}",
    "R050": 'when: .total > "100"',
    "R051": 'when: "true"',
    "R052": "properties: {skus: '${ .items[].sku }'}",
    "R053": "properties: {day: '${ .at | strftime(\"YYYY-MM-DD\") }'}",
    "R054": "properties: {max_age: 24h}",
    "R055": 'event: "placed\\u200b"',
    "R056": "properties: {hello: '${ \"Hello ${.name}\" }'}",
    "R057": 'when: .items | length > 0 and .type == "placed"',
}

EXAMPLES: Mapping[str, str] = MappingProxyType(_EXAMPLES)
"""Code → a file of rules, or (where it has no `rules`) keys of one rule. R001, R035 and R041 need several files."""
