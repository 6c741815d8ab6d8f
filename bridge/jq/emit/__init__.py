"""The code generator: a syntax tree becomes the text of Python functions, once, when a program is compiled.

How it works. `Generator.one(node, scope, v)` writes statements that compute a *single* expression (exactly one output,
or an error) for the input in the Python variable `v`, and returns the result: a name or a constant, safe to use any
number of times. `Generator.each(node, scope, v, sink)` writes code that runs the sink once per output: the sink is a
function that is given the name of an output and writes what to do with it. So `.items[] | {sku, qty}` becomes a plain
loop. Where a sink would have to be written more than once, or a `try` must not see what happens downstream, the stream
becomes a local Python generator. `Generator.paths(…)` is `each` with the path of every output beside it, for `path`,
`del`, `|=` and the like.

The seam for the rule compiler. To make one function of several expressions, make a `Code`, a `Generator` over it and a
`Scope` whose variables are Python names of your function, then call `one` (or `each`) for every expression, between
statements of your own (`code.line`, `with code.block("if …")`), and `code.build("your_function")`:

    code = Code()
    with code.function("rule(v, key, B)"):                          # the Budget must be called `B`
        generator = Generator(code)
        scope = scope_of(generator, {"key": Bound("key")}, defs)    # `$key` is the Python variable `key`
        prefetch(generator, nodes, scope, "v")                      # read the fields that all of them need together
        name = generator.one(node, scope, "v")                      # the same as emit(node, code, "v", scope)
        code.line(f"return {name}")
    rule = code.build("rule")

Names are not checked here: compile each expression with `compile_program` first, for its problems and its facts.

What was read once is not read again: within a block `.customer` of the same input is kept in a variable, so fields that
several expressions share cost once.

User text never becomes code: strings and numbers go in as literals that Python itself wrote (`repr`), everything else
through the table of constants; names of variables and functions of the program never appear.
"""
