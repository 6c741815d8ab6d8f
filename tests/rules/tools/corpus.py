"""Ten rules for a topic of a car-sharing fleet, and what people break in them: (found, written instead, finding)."""

from __future__ import annotations

from typing import NamedTuple


class Break(NamedTuple):
    """One mistake: `old` of the rule becomes `new`; then this finding, which says `words` in message or hint."""

    old: str
    new: str
    code: str
    words: str


class Case(NamedTuple):
    rule: str
    breaks: tuple[Break, ...]


CASES: tuple[Case, ...] = (
    Case(
        """\
name: trip-ended
topics: [fleet.trips]
when: .kind == "trip_end" and .distance_m > 0
event: trip_ended
distinct_id: ${ .driver.uid }
properties:
  km: ${ .distance_m / 1000 }
  vehicle: ${ .vehicle.plate }
""",
        (
            Break('.kind == "trip_end" and', '.kind = "trip_end" and', "R038", "write `==`"),
            Break("${ .driver.uid }", ".driver.uid", "R021", "write ${ .driver.uid }"),
            Break("properties:", "propertys:", "R003", "did you mean `properties`?"),
        ),
    ),
    Case(
        """\
name: low-battery
topics: [fleet.trips]
when: .battery.percent < 15
event: low_battery
distinct_id: ${ .driver.uid }
max_age: 10m
properties:
  percent: ${ .battery.percent }
  range: about ${ .battery.range_km } km
""",
        (
            Break("max_age: 10m", "max_age: 10 minutes", "R030", "max_age: 24h"),
            Break("< 15", '< "15"', "R050", "15 without quotes"),
            Break("about ${ .battery.range_km } km", "about ${ .battery.range_km km", "R020", "close it with `}`"),
        ),
    ),
    Case(
        """\
name: damage-reported
topics: [fleet.trips]
when: .kind == "damage" and (.photos | length) > 0
event: damage_reported
distinct_id: ${ .owner_id | tostring }
attachments: '${ [.photos[] | {url, filename: "\\(.id).jpg"}] }'
""",
        (
            Break("(.photos | length) > 0", ".photos.length() > 0", "R016", "(… | length)"),
            Break("{url, filename:", '{url: "/data/\\(.path)", filename:', "R029", "https://"),
            Break('[.photos[] | {url, filename: "\\(.id).jpg"}]', ".photos[] | {url}", "R037", "write `[ ]` around it"),
        ),
    ),
    Case(
        """\
name: crew-alert
topics: [fleet.trips]
when: .kind == "alert" or .kind == "alarm"
for_each: .crew[]
event: crew_alert
distinct_id: ${ $item.uid }
idempotency_key: ${ .id }-${ $item.uid }
properties:
  level: ${ .level // "info" }
""",
        (
            Break('or .kind == "alarm"', 'or "alarm"', "R039", "IN("),
            Break("for_each: .crew[]", "for_each: .crew", "R047", "write `.crew[]`"),
            Break("${ .id }-${ $item.uid }", "${ .id }-alert", "R033", "$item"),
        ),
    ),
    Case(
        """\
name: booking-state
topics: [fleet.trips]
when: .state | IN("confirmed", "cancelled")
event: booking_${ .state }
events: [booking_confirmed, booking_cancelled]
distinct_id: ${ .booker }
properties:
  from: ${ .starts | parse_time | format_time("%H:%M"; "Europe/Oslo") }
""",
        (
            Break("events: [booking_confirmed, booking_cancelled]\n", "", "R024", "add events:"),
            Break("booking_confirmed, booking", "bookng_confirmed, booking", "R027", "can never make the name"),
            Break('"Europe/Oslo"', '"Europe/Olso"', "R019", "Europe/Olso"),
        ),
    ),
    Case(
        """\
name: fine-due
topics: [fleet.trips]
when: .kind == "fine"
event: fine_due
distinct_id: ${ .driver.uid }
properties:
  amount: ${ .cents / 100 | fixed(2) }
  reason: ${ .reason // "unknown" }
  due: ${ $timestamp / 1000 | todate }
""",
        (
            Break("$timestamp / 1000 | todate", "$timestamp | todate", "R045", "$timestamp / 1000 | todate"),
            Break("fixed(2)", "toFixed(2)", "R013", "fixed"),
            Break('.reason // "unknown"', ".reason || 'unknown'", "R016", "`//`"),
        ),
    ),
    Case(
        """\
name: service-due
topics: [fleet.trips]
when: (.odometer_km // 0) > 30000
event: service_due
distinct_id: fleet-manager
tenant_id: ${ .region // empty }
properties:
  plate: ${ .vehicle.plate | ascii_upcase }
""",
        (
            Break("(.odometer_km // 0) > 30000", ".odometer_km // 0 > 30000", "R043", "(.odometer_km // 0) > 30000"),
            Break("ascii_upcase", "upper", "R013", "ascii_upcase"),
            Break("fleet-manager", "vehicle.manager_id", "R048", "${ .vehicle.manager_id }"),
        ),
    ),
    Case(
        """\
name: geofence-left
topics: [fleet.trips]
when: .kind == "geofence" and .inside == false
event: geofence_left
distinct_id: ${ .owner_id }
properties:
  place: ${ .fence.name }
  at: '${ "\\(.lat), \\(.lon)" }'
  quiet: ${ .quiet == true }
""",
        (
            Break(".quiet == true", ".quiet // true", "R042", "if .quiet == null then true else .quiet end"),
            Break("and .inside == false", "&& .inside == false", "R016", "and"),
            Break("topics: [fleet.trips]", "topics: fleet.trips", "R005", "[fleet.trips]"),
        ),
    ),
    Case(
        """\
name: rating-asked
topics: [fleet.trips]
when: .kind == "trip_end"
event: rating_asked
distinct_id: ${ .driver.uid }
properties: '${ {trip: .id, minutes: (.seconds / 60 | floor)} }'
""",
        (
            Break("event: rating_asked", "event: $rating_asked", "R025", "keeps for itself"),
            Break(
                "'${ {trip: .id, minutes: (.seconds / 60 | floor)} }'", "${ . }", "R046", "name what the template needs"
            ),
            Break("{trip: .id,", "{ss_trip: .id,", "R026", "rename it"),
        ),
    ),
    Case(
        """\
name: trip-shared
topics: [fleet.trips]
when: any(.guests[]; .accepted)
for_each: .guests[] | select(.accepted)
event: trip_shared
distinct_id: ${ $item.uid }
properties:
  names: ${ [.guests[].name] | join(", ") }
  seats: ${ .vehicle.seats }
on_error: skip
""",
        (
            Break("on_error: skip", "on_error: ignore", "R005", "dead_letter, skip, halt"),
            Break('[.guests[].name] | join(", ")', "[.guests[].name] | .first", "R036", "no fields in an array"),
            Break("any(.guests[]; .accepted)", ".guests | length", "R037", "(…) > 0"),
        ),
    ),
)
