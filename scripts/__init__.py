"""What the project needs beside the package, by what it is for. Each script says what it does and who calls it.

`setup/` makes the environment and installs tools, `generate/` writes what is generated, `proof/` holds the promises against
faults and other engines, `measure/` measures, `deploy/` checks the deployment. All run from the top of the tree.
"""
