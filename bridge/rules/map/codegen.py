"""A rule as a generated Python function, from a record's value to the bytes of its events.

What is written is the usual case, in the order in which an event is made: name, recipient, whether it is allowed, key,
tenant, properties, size. The first of them that fails is the one that is told. Where a value is not the usual one, the
code calls the function of `slow_path` that knows the case; so a record is gone through once, whatever it is like.

An expression's own errors need no code: comments in the text say which expression each line belongs to, and the line
where an exception left the function says which one failed.

`run_code` writes the whole loop over a run of records, for a topic that one rule reads; `rule_code` a function for one
record, for topics that several rules or files read. Both are the same code (`_Writer.rule`) in another frame.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import inf, isfinite
from typing import Any, Final, NamedTuple

from bridge.flow import Fault, MappingContext, Record, Stage
from bridge.jq import EvalBudget, JqProblem
from bridge.jq.emit.seam import (
    MAYBE,
    NAMESPACE,
    NO_DEFS,
    ONE,
    OUTPUTS,
    STEPS,
    TEXT,
    Bound,
    Code,
    Generator,
    Scope,
    Sink,
    field,
    prefetch,
    reads,
    scope_of,
    stages,
    swells,
    types_of,
)
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    Binary,
    Call,
    Comma,
    Identity,
    If,
    Index,
    Iterate,
    Literal,
    Logic,
    Node,
    Object,
    Pipe,
    Slice,
    Text,
    Variable,
    children,
)
from bridge.jsontext import Fragment, JSONDecodeError, dumps, loads
from bridge.rules.map import slow_path
from bridge.rules.map.body import (
    CARE,
    PLAIN_LEAST,
    PLAIN_MOST,
    bad_text,
    exact,
    exact_computed,
    exact_json,
    refused_body,
)
from bridge.rules.map.decode import SNAPSHOT, Decoder, json_value
from bridge.rules.map.faults import FAULTS, MapError
from bridge.rules.map.key import derived_insert_id, key_code, key_maker, key_parts
from bridge.rules.map.scope import VARIABLES, Args, RecordScope
from bridge.rules.model import Computed, Elements, Expression, Fields, Fixed, MixedText, Rule, Value
from bridge.suprsend.limits import (
    ATTACHMENTS,
    MAX_DISTINCT_ID_CHARS,
    MAX_KEY_CHARS,
    MAX_TENANT_CHARS,
    MIN_TIME_MS,
    reserved,
)

__all__ = ["Columns", "Kind", "Made", "RuleCode", "RunCode", "TopicReading", "named", "rule_code", "run_code"]

Kind = tuple[str, str]
"""Rule and name of an event."""

Allowed = Callable[[str], bool]
"""Whether a recipient may get events (`delivery.only_recipients`)."""


Made = tuple[int, Kind, int | None, "bytes | int"]
"""An event: the place of its record in the run, its kind, when it expires, its body (its size, where that is not kept)."""


class Kept:
    """Which bodies of a fan-out are kept: those that begin at `low` bytes of all that was made or later, and below `high`."""

    __slots__ = ("high", "low", "size")

    def __init__(self, low: int = 0, high: float = inf) -> None:
        self.size = 0
        """Bytes that were made so far, each body with a comma."""
        self.low = low
        self.high = high


class Columns(NamedTuple):
    """What the records of a run became, for the code of several rules to add to."""

    events: list[Made]
    faults: list[tuple[int, Fault, int]]
    """The record's place, its fault, and how many events there were before it."""
    keys: set[str]
    """The keys of the rules' own that the record's events have."""
    kept: Kept


RuleCode = Callable[[Any, Args, Record, str, int, int, Columns], bool]
"""`(value, args, record, partition, offset, place, columns)`: adds what one rule makes of one record.

Returns whether its `when` was true. Raises only for a bug of the bridge.
"""

RunCode = Callable[..., tuple[Any, ...]]
"""A `RunMapper`, but for the form of what it returns: (bodies, unwanted, faults, size, places, kinds, expires); the last
three are None where the rule needs no such column. Of a record that fans out far, a body may be its size alone: those are
kept that begin between `low` and `high` bytes (more arguments; 0 and `kept_bytes`); it is the last of its run. The sizes of
its items' bodies, None of those that failed, may be given as `known`: then only those that are kept are made."""


class TopicReading(NamedTuple):
    """How a topic's records are read."""

    decode: Decoder
    is_json: bool
    may_be_snapshot: bool
    make_args: Callable[[Record], Args]
    reads_variables: bool
    """Whether more is read of a record than its value."""
    unmatched: Fault | None
    """What becomes of a record that no rule takes; None: nothing."""


def rule_code(rule: Rule, topic: str, context: MappingContext, allowed: Allowed) -> RuleCode:
    """Write the function of a rule on a topic."""
    try:
        return _Writer(rule, topic, context, allowed, inline=True).function()
    except (JqProblem, RecursionError):
        return _Writer(rule, topic, context, allowed, inline=False).function()


def run_code(rule: Rule, topic: str, context: MappingContext, allowed: Allowed, reading: TopicReading) -> RunCode:
    """Write the loop over the records of a topic that one rule reads."""
    try:
        return _Writer(rule, topic, context, allowed, inline=True).run(reading)
    except (JqProblem, RecursionError):
        return _Writer(rule, topic, context, allowed, inline=False).run(reading)


def named(rule: Rule, variable: str) -> bool:
    """Whether any expression of a rule reads a variable."""
    return any(variable in expression.reads for expression in rule.expressions)


class _Values:
    """Writes values: names of Python variables that hold them.

    Names of the code around: `v` is the record's value, `d` the same with its fields (or what stands for them), `s` the
    scope of values that are called, `B` the rule's budget.
    """

    def __init__(self, *, inline: bool) -> None:
        self.code = Code(NAMESPACE)
        self.code.namespace.update(B=EvalBudget())
        self.generator = Generator(self.code)
        self.inline = inline
        """Whether expressions are written out; else they are called: a rule that would become too much code."""
        self.expressions: list[Expression] = []
        self._scope = Scope.empty()
        self._counts_outputs = False

    def keep(self, expression: str) -> str:
        """Assign an expression to a fresh name."""
        return self.generator.keep(expression)

    def call(self, function: Callable[..., Any], *args: str) -> str:
        """Write a call of one of our functions, as an expression."""
        return f"{self.code.thing(function)}({', '.join(args)})"

    def enter(self, rule: Rule) -> None:
        """Bind the variables that are read to names of the function, and what is read of the record's value."""
        self.code.line(f"B.steps = {STEPS}")
        self.code.line(f"B.text = {TEXT}")
        self._budget = self.code.place()
        read = {name for expression in rule.expressions for name in expression.reads}
        bound = {name: self.keep(f"A[{at}]") for at, name in enumerate(VARIABLES[:7]) if name in read}
        names = {name: Bound(bound.get(name, "None")) for name in VARIABLES}
        if not self.inline:
            self._count_outputs()
            self.code.line(f"s = {self.call(RecordScope, 'v', 'A', 'B')}")
            return
        self._scope = scope_of(
            self.generator, names, rule.expressions[0].defs or NO_DEFS if rule.expressions else NO_DEFS
        )
        if any(reads(expression.program.node, self._scope) for expression in rule.expressions):
            self.code.line("d = v")
            self.code.line(f"if type(d) is not dict: d = {self.call(slow_path.fields_of, 'v')}")

    def enter_item(self) -> None:
        """Bind `$item` and `$index`."""
        if self.inline:
            self._scope = self._scope.with_variables({"item": Bound("item"), "index": Bound("number")})
        else:
            self.code.line(f"s = {self.call(RecordScope, 'v', '(*A[:7], item, number)', 'B')}")

    @contextmanager
    def _lines_of(self, expression: Expression) -> Iterator[None]:
        """Say that the lines written inside are an expression's."""
        self.code.line(f"#{len(self.expressions)}")
        self.expressions.append(expression)
        yield
        self.code.line("#")

    def _read(self, node: Node) -> None:
        """Write a reading of each field of the record that an expression always reads, unless it was read before."""
        for name in dict.fromkeys(reads(node, self._scope)):
            if self.code.remembered("field", "v", repr(name)) is None:
                self.code.remember(self.keep(f"d.get({name!r})"), "field", "v", repr(name))

    def _single(self, expression: Expression) -> bool:
        return self.generator.single(expression.program.node, self._scope)

    def unless(self, expression: Expression, otherwise: str) -> None:
        """Write `otherwise` for where a condition does not hold."""
        node = expression.program.node
        if self.inline and expression.program.types <= {"boolean"} and self._single(expression):
            with self._lines_of(expression):
                for test in _tests(node):
                    self._read(test)
                    self.code.line(f"if not ({self.generator.condition(test, self._scope, 'v')}): {otherwise}")
            return
        name = self.computed(expression, slow_path.ONE_CONDITION)
        with self.code.block(f"if {name} is not True"):
            self.code.line(f"if {name} is False or {name} is None or {name} is NOTHING: {otherwise}")
            self.code.line(self.call(slow_path.no_condition, self.code.thing(expression), name))

    def _count_outputs(self) -> None:
        """Write that outputs are counted from here on: few rules have such."""
        if not self._counts_outputs:
            self._counts_outputs = True
            with self.code.at(self._budget):
                self.code.line(f"B.outputs = {OUTPUTS}")

    def outputs(self, expression: Expression) -> str:
        """Write the list of all outputs of an expression; each is counted."""
        self._count_outputs()
        if not self.inline:
            return self.keep(self.call(slow_path.outputs(expression), "s"))
        name = self.keep("[]")

        def take(value: str) -> None:
            self.code.line("B.outputs -= 1")
            self.code.line("if B.outputs < 0: B.over()")
            self.code.line(f"{name}.append({value})")

        with self._lines_of(expression):
            self._read(expression.program.node)
            self.generator.each(expression.program.node, self._scope, "v", Sink(take))
        return name

    def computed(self, expression: Expression, advice: str = "") -> str:
        """Write an expression: the name holds its one output, or NOTHING. Outputs beyond the first are counted."""
        if not self.inline:
            return self.keep(self.call(slow_path.single(expression, advice), "s"))
        with self._lines_of(expression):
            return self._one_of(expression, advice)

    def _one_of(self, expression: Expression, advice: str = "") -> str:
        node = expression.program.node
        self._read(node)
        count = self.generator.count(node, self._scope)
        if count == ONE:
            name = self.generator.one(node, self._scope, "v")
            return name if name.isidentifier() else self.keep(name)
        if count == MAYBE:
            return self.generator.first(node, self._scope, "v", "NOTHING")
        self._count_outputs()
        name, more = self.keep("NOTHING"), self.keep("1")

        def take(value: str) -> None:
            self.code.line(f"if {name} is not NOTHING: {more} = {self.call(slow_path.one_more, more, 'B')}")
            self.code.line(f"{name} = {value}")

        self.generator.each(node, self._scope, "v", Sink(take))
        refusal = self.call(slow_path.several, self.code.thing(expression), more, repr(advice))
        self.code.line(f"if {more} > 1: {refusal}")
        return name

    # Texts

    def text(self, wanted: slow_path.TextField, *, optional: bool) -> tuple[str, bool]:
        """Write trimmed text that is not blank: its name, and whether it may be None, where it may be left out."""
        value = wanted.value
        if isinstance(value, Fixed):
            return self.code.const(str(value.value)), False
        made, may_be_nothing = self._raw_text(wanted)
        name = self.code.name("o")
        if not (optional and may_be_nothing):
            self._trimmed(name, made, wanted)
            return name, False
        self.code.line(f"{name} = None")
        with self.code.block(f"if {made} is not NOTHING"):
            self._trimmed(name, made, wanted)
        return name, True

    def _trimmed(self, name: str, made: str, wanted: slow_path.TextField) -> None:
        known = self.code.thing(wanted)
        self.code.line(f"{name} = {made}")
        rare = self.call(slow_path.text_of, known, name)
        if wanted.integers:
            rare = f"str({name}) if type({name}) is int else {rare}"
        self.code.line(f"if type({name}) is not str: {name} = {rare}")
        self.code.line(f"{name} = {name}.strip()")
        too_long = "" if wanted.longest is None else f" or len({name}) > {wanted.longest}"
        self.code.line(f"if not {name}{too_long}: {self.call(slow_path.not_kept, known, name)}")

    def _raw_text(self, wanted: slow_path.TextField) -> tuple[str, bool]:
        value = wanted.value
        if self.inline and isinstance(value, Computed):
            with self._lines_of(value.expression):
                self._read_path(wanted, value.expression.program.node)
                return self._one_of(value.expression), not self._single(value.expression)
        return self.value(value, level=None)

    def _read_path(self, wanted: slow_path.TextField, node: Node) -> None:
        """Write the reading of `.a.b.c`, where all on the way must be objects: it could not but be null otherwise."""
        first, *names = _literal_path(node) or ("",)
        if not names:
            return
        self._read(node)
        target = self.code.remembered("field", "v", repr(first))
        for name in names:
            if target is None:
                return
            if self.code.remembered("dict", target) is None:
                known = self.code.thing(wanted)
                refusal = self.call(slow_path.no_object, known, target, repr(name))
                self.code.line(f"if type({target}) is not dict: {refusal}")
                self.code.remember(target, "dict", target)
            target = field(self.generator, target, repr(name))

    # Values

    def value(self, value: Value, *, level: int | None) -> tuple[str, bool]:
        """Write any value: its name, and whether it may be NOTHING.

        `level` is how deep it stands in the properties, to make what the serialiser prints right; None leaves values
        as they are.
        """
        if isinstance(value, Fixed):
            return self.code.const(value.value if level is None else _fixed(value.value)), False
        if not self.inline:
            return self.keep(self.call(slow_path.maker(value), "s")), isinstance(value, Computed)
        if isinstance(value, Computed):
            with self._lines_of(value.expression):
                return self._computed(value.expression, level)
        if isinstance(value, MixedText):
            return self._mixed(value), False
        inner = None if level is None else level + 1
        return (self._fields(value, inner) if isinstance(value, Fields) else self._items(value, inner)), False

    def _computed(self, expression: Expression, level: int | None) -> tuple[str, bool]:
        node = expression.program.node
        if level is not None:
            self._read(node)
            built = self._part(node, "v", level)
            if built is not None:
                return built, False
        name = self._one_of(expression)
        if level is not None:
            name = self._exact(node, name, level)
        return name, not self._single(expression)

    def _exact(self, node: Node, name: str, level: int) -> str:
        if types_of(node, self._scope) <= {"string", "boolean", "null"}:
            return name
        safe = self.keep(name)
        # A number is usually printed right as it is.
        usual = f"{PLAIN_LEAST!r} <= {safe} < {PLAIN_MOST!r} and {safe} % 1.0"
        care = self.code.thing(CARE)
        if _may_compute(node):
            call = self.call(exact_computed, safe, str(level))
            with self.code.block(f"if type({safe}) is float"):
                self.code.line(f"if not ({usual}): {safe} = {call}")
            self.code.line(f"elif type({safe}) in {care}: {safe} = {call}")
        else:
            rare = f"type({safe}) in {care} and not (type({safe}) is float and {usual})"
            test = f"type({safe}) is not str and type({safe}) is not int and {rare}"
            self.code.line(f"if {test}: {safe} = {self.call(exact, safe, str(level))}")
        return safe

    def _part(self, node: Node, v: str, level: int) -> str | None:
        """Write an expression that builds objects, or a list of objects, of single values, each made right by itself.

        So what is built need not be looked through again. None for any other expression.
        """
        if level > _DEEPEST_BUILT or swells(node, self._scope):
            return None
        found = _built_list(node, self._scope)
        if found is None:
            return self._new_object(node, v, level)
        source, item = found
        if not self._builds(item):
            return None
        whole = self.keep("[]")
        append = self.keep(f"{whole}.append")

        def add(value: str) -> None:
            self.code.line(f"{append}({self._new_object(item, value, level + 1)})")

        self._each(source, v, add)
        return whole

    def _each(self, source: Sequence[Node], v: str, then: Callable[[str], None]) -> None:
        if not source:
            then(v)
            return
        self.generator.each(source[0], self._scope, v, Sink(lambda value: self._each(source[1:], value, then)))

    def _builds(self, node: Node) -> bool:
        parts = _built_object(node, any_names=True)
        return parts is not None and all(self.generator.single(part, self._scope) for _, part in parts)

    def _new_object(self, node: Node, v: str, level: int) -> str | None:
        parts = _built_object(node, any_names=True)
        if parts is None or not self._builds(node):
            return None
        prefetch(self.generator, [part for _, part in parts], self._scope, v)
        made = []
        for key, part in parts:
            name = self._part(part, v, level + 1)
            if name is None:
                name = self._exact(part, self.generator.one(part, self._scope, v), level + 1)
            made.append((key, name, False))
        return self._object(made)

    def _mixed(self, text: MixedText) -> str:
        parts: list[str] = []
        for part in text.parts:
            if isinstance(part, str):
                parts.append(repr(part))
                continue
            name = self.computed(part)
            if not part.program.types <= {"string"} or not self._single(part):
                name = self.keep(name)
                as_text = self.call(slow_path.part_text, self.code.thing(part), name)
                self.code.line(
                    f"if type({name}) is not str: {name} = str({name}) if type({name}) is int else {as_text}"
                )
            parts.append(f"f'{{{name}}}'" if name.isidentifier() else name)
        return self.keep(" ".join(parts))

    def _fields(self, fields: Fields, level: int | None) -> str:
        return self._object([(name, *self.value(value, level=level)) for name, value in fields.entries])

    def _object(self, made: list[tuple[str, str, bool]]) -> str:
        """Write an object of parts that are written already, in their order; what may be NOTHING is left out then."""
        sure = next((number for number, (_, _, optional) in enumerate(made) if optional), len(made))
        shown = ", ".join(f"{name!r}: {value}" for name, value, _ in made[:sure])
        whole = self.keep(f"{{{shown}}}")
        for name, value, optional in made[sure:]:
            test = f"if {value} is not NOTHING: " if optional else ""
            self.code.line(f"{test}{whole}[{name!r}] = {value}")
        return whole

    def _items(self, items: Elements, level: int | None) -> str:
        made = [self.value(value, level=level) for value in items.values]
        if not any(optional for _, optional in made):
            return self.keep(f"[{', '.join(value for value, _ in made)}]")
        whole = self.keep("[]")
        for value, optional in made:
            test = f"if {value} is not NOTHING: " if optional else ""
            self.code.line(f"{test}{whole}.append({value})")
        return whole

    # Properties

    def properties(self, rule: Rule) -> str:
        """Write all properties of an event: the name of what the serialiser prints right, or refuses."""
        whole, right = self._layers(rule.properties, drop_nulls=rule.drop_nulls)
        if rule.attachments:
            attached = self._attachments(rule)
            self.code.line(f"if {attached}: {whole}[{ATTACHMENTS!r}] = {attached}")
        if right:
            return whole
        return self.keep(self.call(Fragment, self.call(exact_json, whole, *(["drop_nulls=True"] * rule.drop_nulls))))

    def _layers(self, layers: tuple[Fields | Computed, ...], *, drop_nulls: bool) -> tuple[str, bool]:
        """Write the layers: a name that holds a new object, and whether the serialiser prints it right, or refuses it."""
        first = layers[0] if layers else Fields(())
        if self.inline and len(layers) <= 1 and not drop_nulls:
            if isinstance(first, Fields):
                return self._fields(first, 2), True
            built = self._built(first.expression)
            if built is not None:
                return built, True
        whole = self.keep("{}")
        for layer in layers:
            if isinstance(layer, Computed):
                self._lay_object(whole, layer.expression)
            elif self.inline:
                self._lay_fields(whole, layer)
            else:
                self.code.line(self.call(slow_path.layer_maker(layer), "s", whole))
        return whole, False

    def _built(self, expression: Expression) -> str | None:
        """Write an expression that builds an object of single values part by part, each made right by itself."""
        node = expression.program.node
        if _built_object(node) is None or swells(node, self._scope):
            return None
        with self._lines_of(expression):
            self._read(node)
            return self._new_object(node, "v", 1)

    def _lay_object(self, whole: str, expression: Expression) -> None:
        name = self.computed(expression)
        self.code.line(f"{whole}.update({self.call(slow_path.layer_of, self.code.thing(expression), name)})")

    def _lay_fields(self, whole: str, fields: Fields) -> None:
        for key, value in fields.entries:
            name, optional = self.value(value, level=None)
            if optional:
                self.code.line(f"if {name} is NOTHING: {whole}.pop({key!r}, None)")
                self.code.line(f"else: {whole}[{key!r}] = {name}")
            else:
                self.code.line(f"{whole}[{key!r}] = {name}")

    def _attachments(self, rule: Rule) -> str:
        attachments = rule.attachments
        if isinstance(attachments, Computed):
            return self.keep(self.call(slow_path.checked_attachments, self.computed(attachments.expression)))
        if not self.inline:
            return self.keep(self.call(slow_path.attachments_maker(attachments), "s"))
        name = self.keep("[]")
        for number, item in enumerate(attachments):
            url, may_be_nothing = self.value(item.url, level=None)
            with self.code.block(f"if {url} is not NOTHING" if may_be_nothing else "if True"):
                parts = [
                    "NOTHING" if part is None else self.value(part, level=None)[0]
                    for part in (item.filename, item.ignore_if_error)
                ]
                checked = self.call(slow_path.checked_attachment, f"'attachments[{number}]'", url, *parts)
                self.code.line(f"{name}.append({checked})")
        return name


class _Event(NamedTuple):
    """The Python names of what is known of an event once its body is made."""

    body: str
    size: str
    kind: str
    """Its `Kind`."""


_MARK: Final = re.compile(r"^ *#(\d*)$", re.MULTILINE)
"""A comment in generated code: the lines behind it are of the expression with this number, or of none."""


class _Failures:
    """Which fault an exception is that came out of a rule's code."""

    __slots__ = ("_expressions", "_rule", "_starts")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._starts: list[int] = [0]
        self._expressions: list[Expression | None] = [None]

    def read(self, text: str, expressions: Sequence[Expression]) -> None:
        """Note which lines are an expression's: those from a comment with its number to the next comment."""
        line, end = 1, 0
        for mark in _MARK.finditer(text):
            line, end = line + text.count("\n", end, mark.start()), mark.start()
            self._starts.append(line)
            self._expressions.append(expressions[int(mark[1])] if mark[1] else None)

    def _problem(self, error: Exception) -> MapError | None:
        """Say what the record did; None where no record can do it."""
        if isinstance(error, MapError):
            return error
        assert error.__traceback__ is not None
        line = error.__traceback__.tb_lineno
        expression = self._expressions[bisect_right(self._starts, line) - 1]
        if expression is not None:
            return slow_path.failure(expression, error)
        # Of a rule's own lines, only those of its key encode text.
        return bad_text() if isinstance(error, UnicodeEncodeError) else None

    def of_rule(self, error: Exception, item: int | None = None, key: str | None = None) -> Fault:
        """Return the fault of the rule, or of one item. Raises the error itself where that is a bug of the bridge."""
        problem = self._problem(error)
        if problem is None:
            raise error
        return slow_path.fault_of(self._rule, problem, item, key)

    def of_record(self, error: Exception) -> Fault:
        """Return the fault of a record that the rule alone reads."""
        problem = self._problem(error)
        if problem is None:
            return slow_path.bug(error)
        if FAULTS[problem.code].stage is Stage.DECODE:
            return slow_path.unreadable(problem, ())
        return slow_path.fault_of(self._rule, problem, None, None)


class _Writer:
    """Writes the code of one rule. Names of the code around: `record`, `offset`, `partition` (as text), `ts`."""

    def __init__(self, rule: Rule, topic: str, context: MappingContext, allowed: Allowed, *, inline: bool) -> None:
        self.rule = rule
        self.topic = topic
        self.context = context
        self.allowed = allowed
        self.values = _Values(inline=inline)
        self.code = self.values.code
        self.failures = _Failures(rule)
        self.fans_out = rule.for_each is not None
        self.skips = False
        """Whether bodies whose sizes are known may be left out."""
        self.computed_name = not isinstance(rule.event, Fixed)
        max_age = rule.max_age_ms if rule.max_age_ms is not None else context.max_age_ms
        self.expires = None if max_age is None else f"ts + {max_age} if ts >= 0 else None"

    # Frames

    def function(self) -> RuleCode:
        """Write the function of one record."""
        line = self.code.line
        with self.code.function("rule(v, A, record, partition, offset, at, columns)"):
            line("events, faults, keys, kept = columns")
            line("taken = False")
            with self._block("try"):
                self._rule("return False", taken="taken = True", add=self._add_to_columns, events="events", keys=True)
            with self._block("except Exception as error"):
                line(f"faults.append((at, {self.values.call(self.failures.of_rule, 'error')}, len(events)))")
            line("return taken")
        return self._build("rule")

    def _add_to_columns(self, made: _Event) -> None:
        expires = "None" if self.expires is None else f"({self.expires})"
        body = f"{made.body} if kept.low <= kept.size < kept.high else {made.size}" if self.fans_out else made.body
        self.code.line(f"events.append((at, {made.kind}, {expires}, {body}))")
        self.code.line(f"kept.size += {made.size} + 1")

    def run(self, reading: TopicReading) -> RunCode:
        """Write the loop over records."""
        line = self.code.line
        many = self.fans_out
        at = "at" if many else "len(unwanted) + len(bodies) + len(faults)"
        self.skips = many
        with self.code.function(
            f"run(records, offsets, most, room, low=0, high={self.context.kept_bytes}, known=None)"
        ):
            line("size = 0")
            line("bodies, unwanted, faults = [], [], []")
            line(f"places = {'[]' if many else None}")
            line(f"kinds = {'[]' if self.computed_name else None}")
            line(f"expires = {None if self.expires is None else '[]'}")
            line("partition = str(records[0].partition()) if records else ''")
            if many:
                line("at = -1")
            with self._block("for record, offset in zip(records, offsets, strict=True)"):
                if many:
                    line("at += 1")
                    line("had, failed, before = len(bodies), len(faults), size")
                with self._block("try"):
                    self._record(reading, at)
                with self._block("except Exception as error"):
                    self._failed(at)
                if many:
                    line("if len(bodies) == had and len(faults) == failed: unwanted.append(at)")
                    line("elif size > room or size >= high or len(bodies) >= most: break")
            line("return bodies, unwanted, faults, size, places, kinds, expires")
        return self._build("run")

    def _failed(self, at: str) -> None:
        """Write what becomes of a record that failed before its items, or in whole."""
        line = self.code.line
        line(f"fault = {self.values.call(self.failures.of_record, 'error')}")
        if self.fans_out:
            with self._block("if fault.code == 'internal_error'"):
                line("size = before")
                columns = (
                    ["bodies", "places"] + ["kinds"] * self.computed_name + ["expires"] * (self.expires is not None)
                )
                for column in columns:
                    line(f"del {column}[had:]")
                line("del faults[failed:]")
        line(f"faults.append(({at}, fault, len(bodies)))")

    def _record(self, reading: TopicReading, at: str) -> None:
        line, call = self.code.line, self.values.call
        nothing = f"unwanted.append({at}); continue"
        unmatched = nothing
        if reading.unmatched is not None:
            kept = f"faults.append(({at}, {self.code.thing(reading.unmatched)}, len(bodies)))"
            unmatched = f"{kept} if raw is not None else unwanted.append({at}); continue"
        line("raw = record.value()")
        if named(self.rule, "tombstone"):
            line("v = None")
            with self._block("if raw is not None"):
                self._decode(reading)
        else:
            line(f"if raw is None: {nothing}")
            self._decode(reading)
        if reading.reads_variables or not self.values.inline:
            line(f"A = {call(reading.make_args, 'record')}")
        if reading.may_be_snapshot:
            line(f"if v is {self.code.thing(SNAPSHOT)}: {nothing}")
        own_keys = self.fans_out and self.rule.idempotency_key is not None
        if own_keys:
            line("keys = set()")
        self._rule(unmatched, taken="", add=self._add_to_run, events="bodies", keys=own_keys)

    def _decode(self, reading: TopicReading) -> None:
        line, call = self.code.line, self.values.call
        if reading.is_json:
            line(f"try: v = {call(loads, 'raw')}")
            line(f"except {self.code.thing(JSONDecodeError)}: v = {call(json_value, 'raw')}")
            return
        line(f"v = {call(reading.decode, 'raw', 'record')}")

    def _add_to_run(self, made: _Event) -> None:
        line = self.code.line
        line(
            f"bodies.append({made.body} if low <= size < high else {made.size})"
            if self.fans_out
            else f"bodies.append({made.body})"
        )
        line(f"size += {made.size} + 1")
        if self.computed_name:
            line(f"kinds.append({made.kind})")
        if self.expires is not None:
            line(f"expires.append({self.expires})")
        if self.fans_out:
            line("places.append(at)")
        else:
            line("if size > room or len(bodies) >= most: break")

    def _block(self, header: str) -> AbstractContextManager[None]:
        """A compound statement whose inside runs once for an input: an expression in it costs what it costs alone."""
        return self.code.block(header, whole_inputs=True)

    def _build(self, name: str) -> Callable[..., Any]:
        self.failures.read(self.code.text(), self.values.expressions)
        return self.code.build(name)

    # The rule

    def _rule(self, unwanted: str, *, taken: str, add: Callable[[_Event], None], events: str, keys: bool) -> None:
        """Write what the rule makes of a value: `unwanted` where its `when` does not hold, `taken` where it does."""
        line, rule, call = self.code.line, self.rule, self.values.call
        self.values.enter(rule)
        if rule.when is not None:
            self.values.unless(rule.when, unwanted)
        if taken:
            line(taken)
        line("ts = record.timestamp()[1]")
        if rule.for_each is None:
            add(self._event("0", keys=keys))
            return
        items = self.values.outputs(rule.for_each)
        check = call(slow_path.check_items, self.code.thing(rule.for_each), items, str(rule.max_fan_out))
        line(f"if len({items}) > {rule.max_fan_out} or list in map(type, {items}): {check}")
        line("seen = {}")
        with self._block(f"for number, item in enumerate({items})"):
            line("key = None")
            with self._block("try"):
                self.values.enter_item()
                add(self._event(None, keys=keys))
            with self._block("except Exception as error"):
                fault = call(self.failures.of_rule, "error", "number", "key")
                line(f"faults.append((at, {fault}, len({events})))")

    def _event(self, n: str | None, *, keys: bool) -> _Event:
        """Write an event's parts, in the order in which their faults are told."""
        rule, call, line = self.rule, self.values.call, self.code.line
        name, kind = self._name()
        field = slow_path.TextField("distinct_id", rule.distinct_id, integers=True, longest=MAX_DISTINCT_ID_CHARS)
        recipient, _ = self.values.text(field, optional=False)
        if self.context.only_recipients:
            line(f"if not {call(self.allowed, recipient)}: {call(slow_path.not_allowed)}")
        insert_id = self._key(name, recipient, n, claims=keys)
        tenant, may_be_none = None, False
        if rule.tenant_id is not None:
            field = slow_path.TextField("tenant_id", rule.tenant_id, integers=True, longest=MAX_TENANT_CHARS)
            tenant, may_be_none = self.values.text(field, optional=True)
        properties = self.values.properties(rule)
        body, size, most = self.code.name(), self.code.name(), str(self.context.max_event_bytes)
        with self._block("if known is None or low <= size < high") if self.skips else nullcontext():
            self._body(body, insert_id, name, recipient, properties, tenant, may_be_none=may_be_none)
            line(f"{size} = len({body})")
            line(f"if {size} > {most}: {call(slow_path.too_large, size, most)}")
        if self.skips:
            with self._block("else"):
                line(f"{size} = {body} = known[number]")
                line(f"if {size} is None: continue")
        return _Event(body, size, kind)

    def _name(self) -> tuple[str, str]:
        """Write the event's name and kind."""
        rule, code = self.rule, self.code
        kinds = {name: (rule.name, name) for name in rule.events}
        if isinstance(rule.event, Fixed):
            return code.const(rule.event.value), code.thing(kinds[rule.events[0]])
        name, _ = self.values.text(
            slow_path.TextField("event", rule.event, integers=False, longest=None), optional=False
        )
        kind = self.values.keep(f"{code.thing(kinds)}.get({name})")
        code.line(f"if {kind} is None: {self.values.call(slow_path.not_listed, code.thing(rule))}")
        return name, kind

    def _key(self, name: str, recipient: str, n: str | None, *, claims: bool) -> str:
        """Write `key`, and what gives the `$insert_id`; `claims` where another event may have the same key."""
        rule, line, call = self.rule, self.code.line, self.values.call
        if rule.idempotency_key is None:
            self._default_key(name, recipient, n)
            return "key"
        field = slow_path.TextField("idempotency_key", rule.idempotency_key, integers=True, longest=MAX_KEY_CHARS)
        own, may_be_none = self.values.text(field, optional=True)
        with self._block(f"if {own} is not None"):
            if claims:
                line(f"if {own} in keys: {call(slow_path.duplicate)}")
                line(f"keys.add({own})")
            line(f"insert_id = {call(derived_insert_id, own)}")
            line(f"key = {own}")
        if may_be_none:
            with self._block("else"):
                self._default_key(name, recipient, n)
                line("insert_id = key")
        return "insert_id"

    def _default_key(self, name: str, recipient: str, n: str | None) -> None:
        rule, line, namespace = self.rule, self.code.line, self.context.namespace
        if n is None:
            n = self.values.keep(f"seen.get(({name}, {recipient}), 0)")
            line(f"seen[{name}, {recipient}] = {n} + 1")
        if isinstance(rule.event, Fixed) and recipient.isidentifier():
            parts = key_parts(namespace, self.topic, rule.identity, rule.events[0])
            *lines, key = key_code(parts, self.code.thing(parts.begun), "f'{partition}:{offset}'", n, recipient)
            for text in lines:
                line(text)
            line(f"key = {key}")
        else:
            makers = {event: key_maker(namespace, self.topic, rule.identity, event) for event in rule.events}
            line(f"key = {self.code.thing(makers)}[{name}](partition, offset, ts, {recipient}, {n})")

    def _body(
        self,
        body: str,
        insert_id: str,
        name: str,
        recipient: str,
        properties: str,
        tenant: str | None,
        *,
        may_be_none: bool,
    ) -> None:
        """Write the layout of `bridge.suprsend.event.event_body`, in its order (a test holds the two together)."""
        line, env = self.code.line, self.code.const(self.context.env)
        fields = (
            f"'$insert_id': {insert_id}, '$time': ts if ts >= {MIN_TIME_MS} else {MIN_TIME_MS}, 'event': {name}, "
            f"'env': {env}, 'distinct_id': {recipient}, 'properties': {properties}, '$idempotency_key': key"
        )
        if may_be_none:
            whole = self.values.keep(f"{{{fields}}}")
            line(f"if {tenant} is not None: {whole}['tenant_id'] = {tenant}")
        else:
            whole = f"{{{fields}}}" if tenant is None else f"{{{fields}, 'tenant_id': {tenant}}}"
        refused = self.values.call(refused_body, insert_id, "ts", name, env, recipient, properties, "key", str(tenant))
        line(f"try: {body} = {self.values.call(dumps, whole)}")
        line(f"except {self.code.thing(_REFUSED)}: {body} = {refused}")


_REFUSED: Final = (TypeError, ValueError, RecursionError)
"""What the serialiser raises."""


# What the shape of an expression tells

_DEEPEST_BUILT: Final = 20
"""Objects that an expression builds more deeply than this are looked through for their depth."""

_CARRYING: Final = (
    Identity,
    Variable,
    Index,
    Slice,
    Iterate,
    Array,
    Object,
    Pipe,
    Comma,
    Alternative,
    If,
    Logic,
    Text,
)
_CARRYING_CALLS: Final = frozenset({"select/1", "map/1", "not/0", "empty/0", "first/0", "last/0", "first/1"})
_COMPARING: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})


def _may_compute(node: Node) -> bool:
    """Say whether an expression may make numbers of its own, and so one that JSON cannot hold."""
    if isinstance(node, Binary):
        carries = node.op in _COMPARING
    elif isinstance(node, Call):
        carries = node.key in _CARRYING_CALLS
    elif isinstance(node, Literal):
        carries = type(node.value) is not float or isfinite(node.value)
    else:
        carries = isinstance(node, _CARRYING)
    return not carries or any(_may_compute(child) for child in children(node))


def _built_object(node: Node, *, any_names: bool = False) -> list[tuple[str, Node]] | None:
    """Return keys and values of an expression that builds an object with literal names.

    None of them may be reserved (for the first level of the properties), unless `any_names` says so.
    """
    if not isinstance(node, Object):
        return None
    built = [(key.value, value) for key, value in node.entries if isinstance(key, Literal)]
    plain = all(type(name) is str and (any_names or not reserved(name)) for name, _ in built)
    return built if plain and len(built) == len(node.entries) else None


def _built_list(node: Node, scope: Scope) -> tuple[list[Node], Node] | None:
    """Take `[SOURCE | {…}]` and `SOURCE | map({…})` apart: the steps of the source, and the object that is built."""
    if isinstance(node, Array) and node.body is not None:
        *source, item = stages(node.body)
    else:
        *source, last = stages(node)
        if not isinstance(last, Call) or last.key != "map/1" or last.key in scope.functions:
            return None
        before, item = stages(last.args[0])[:-1], stages(last.args[0])[-1]
        source += [Iterate(last.start, last.end, Identity(last.start, last.end), optional=False), *before]
    return (source, item) if source and isinstance(item, Object) else None


def _literal_path(node: Node) -> list[str]:
    """Return the names of `.a.b.c`; none for any other expression."""
    names: list[str] = []
    while isinstance(node, Index) and not node.optional and isinstance(node.key, Literal):
        if type(node.key.value) is not str:
            return []
        names.append(node.key.value)
        node = node.target
    return names[::-1] if isinstance(node, Identity) else []


def _tests(node: Node) -> Iterator[Node]:
    """The parts of `a and b and c`, in their order."""
    if isinstance(node, Logic) and node.op == "and":
        yield from _tests(node.left)
        yield from _tests(node.right)
    else:
        yield node


def _fixed(value: Any) -> Any:
    """Return a fixed value as the serialiser prints it right."""
    return exact(value, 2) if type(value) is float else value
