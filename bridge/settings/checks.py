"""Cross-field checks: several problems of one section at once, each with its own place."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from pydantic_core import PydanticCustomError

from bridge.settings.kinds import Section

__all__ = ["PROBLEMS", "Problem", "complain", "complain_of_pair"]

PROBLEMS = "bridge_problems"
_Checked = TypeVar("_Checked", bound=Section)


class Problem(NamedTuple):
    """What is wrong between settings of one section; `where` leads from the section to the one to point at."""

    where: tuple[str | int, ...]
    message: str
    hint: str | None = None


def complain(section: _Checked, problems: list[Problem]) -> _Checked:
    """Return the section, or raise all its problems as one pydantic error that the loader takes apart."""
    if problems:
        raise PydanticCustomError(PROBLEMS, "the settings do not fit together", {"problems": problems})
    return section


def complain_of_pair(section: Section, name: str) -> list[Problem]:
    """A secret comes from one place: `x` and `x_file` exclude each other."""
    other = f"{name}_file"
    if getattr(section, name) is None or getattr(section, other) is None:
        return []
    return [Problem((other,), f"`{name}` and `{other}` are both set: leave one of them out")]
