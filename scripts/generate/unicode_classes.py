"""Write bridge/jq/regex/unicode_classes.py: which characters libjq's regular expressions hold to be letters, digits …

    python -m scripts.generate.unicode_classes > bridge/jq/regex/unicode_classes.py

The tables of RE2 are of another version of Unicode, and its `\\w` means something else.

Called by people, when libjq is a newer one.
"""

from __future__ import annotations

import textwrap

import jq

CLASSES = {
    "d": r"\d",
    "w": r"\w",
    "L": r"\p{L}",
    "Lu": r"\p{Lu}",
    "Ll": r"\p{Ll}",
    "N": r"\p{N}",
    "P": r"\p{P}",
    "S": r"\p{S}",
}
PROGRAM = "[range(0; 55296), range(57344; 1114112) | select([.] | implode | test($pattern))]"
HEADER = '''"""Characters by class, as libjq 1.8.2 sees them. Made by scripts/generate/unicode_classes.py; do not edit.

Each text is a list of numbers in hexadecimal: gap to the next range, length of the range, and so on from zero.
"""

from __future__ import annotations

CLASSES: dict[str, str] = {'''


def ranges(codes: list[int]) -> list[tuple[int, int]]:
    """Code points as ranges."""
    found: list[tuple[int, int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def coded(codes: list[int]) -> str:
    """Ranges as gaps and lengths."""
    at = 0
    parts = []
    for first, last in ranges(codes):
        parts += [f"{first - at:x}", f"{last - first + 1:x}"]
        at = last + 1
    return " ".join(parts)


def main() -> None:
    """Print the module."""
    print(HEADER)
    for name, pattern in CLASSES.items():
        codes = jq.compile(PROGRAM, args={"pattern": pattern}).input_value(None).first()
        print(f'    "{name}": (')
        for line in textwrap.wrap(coded(codes), 106):
            print(f'        "{line} "')
        print("    ),")
    print("}")


if __name__ == "__main__":
    main()
