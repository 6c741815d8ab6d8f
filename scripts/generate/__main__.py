"""`python -m scripts.generate`. Called by `make docs`."""

from __future__ import annotations

import sys

from scripts.generate import main

sys.exit(main(sys.argv[1:]))
