"""The code generator: an expression in the core becomes the text of Python functions, once, when a program is compiled.

Whoever writes expressions into functions of his own begins with `seam.py`. Behind it:

- `kinds.py` has one function for each kind of node, in one table. It writes code around a sink that is given every
  output (`Out`: the Python name of its value, and its path where paths are asked for). So `.items[] | {sku, qty}` becomes
  a plain loop, and `path`, `del`, `|=` run the same functions as values do. An expression with exactly one output is what
  a sink keeps: a name or a constant, safe to use any number of times; only what branches has a second function for it.
- `functions.py` writes functions that call themselves, `builtins.py` the built-ins that take expressions, `updates.py`
  what changes values at paths, `writer.py` what all of them share, `code.py` lines and names.

Where a sink would have to be written more than once, or a `try` must not see what happens downstream, the outputs come
from a local Python generator. What was read once is not read again: within a block `.customer` of the same input is kept
in a variable, so fields that several expressions share cost once.

User text never becomes code: strings and numbers go in as literals that Python itself wrote (`repr`), everything else
through the table of constants; names of variables and functions of the program never appear.
"""
