"""The settings: one model, filled from the file, then the environment, then the files of secrets.

`Settings` and its sections are the only list of settings. The environment, the JSON Schema and the reference page are
made of it; `config/bridge.full.yaml` is held against it. A setting is a field in its section, nothing else.

Everybody may import it, but `rules`, `jq`, `delivery` and `offsets`: what they need is handed to them
(`bridge/service/wiring.py`). Begin with `model.py`, then its sections `kafka.py`, `suprsend.py`, `delivery.py` and
`tuning.py`; then `load.py`, which goes from the file to the frozen settings or to every mistake at once.
"""

from __future__ import annotations

from bridge.settings.load import SettingsError, load_settings
from bridge.settings.model import Settings

__all__ = ["Settings", "SettingsError", "load_settings"]
