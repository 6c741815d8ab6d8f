"""The settings: one model, filled from the file, then the environment, then the files of secrets.

The model (`Settings` and its sections) is the only list of settings: the JSON Schema, the reference page and the
complete example are generated from it or tested against it.
"""

from __future__ import annotations

from bridge.settings.delivery import Brake, Delivery, Retry, Storm, Stuck
from bridge.settings.kafka import Kafka, OAuth, Sasl, Security
from bridge.settings.load import SettingsError, load_settings
from bridge.settings.model import Settings
from bridge.settings.rest import Admin, Logs, Rules
from bridge.settings.suprsend import Answer, SuprSend

__all__ = [
    "Admin",
    "Answer",
    "Brake",
    "Delivery",
    "Kafka",
    "Logs",
    "OAuth",
    "Retry",
    "Rules",
    "Sasl",
    "Security",
    "Settings",
    "SettingsError",
    "Storm",
    "Stuck",
    "SuprSend",
    "load_settings",
]
