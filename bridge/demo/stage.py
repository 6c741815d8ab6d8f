"""What the demo runs on: an embedded Kafka, a local SuprSend, a feed of records with two mishaps, and the bridge."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bridge.demo.shop import DEAD_LETTERS, TOPICS, Shop
from bridge.kafka.tools.mock import DemoProducer, MockCluster
from bridge.observe.logs import Logs
from bridge.sandbox.process import SandboxProcess
from bridge.service.app import App
from bridge.settings.model import Settings

POISON_AT = 60
OUTAGE_AT = 4.0
OUTAGE_SECONDS = 5.0


@dataclass(slots=True)
class Story:
    """What was done to the bridge so far, as the screen tells it."""

    written: int = 0
    poison: float | None = None
    outage: tuple[float, float | None] | None = None
    done: bool = False
    failed: str | None = None
    began: float = field(default_factory=time.monotonic)

    def outage_over(self) -> bool:
        """Whether SuprSend answers as it should."""
        return self.outage is None or self.outage[1] is not None


@dataclass(frozen=True, slots=True)
class Stage:
    app: App
    sandbox: SandboxProcess
    kafka: MockCluster
    story: Story


def rules_directory() -> Path:
    """The rules of the shop: those of the repository, or the copy that the package carries."""
    here = Path(__file__).resolve().parent
    for path in (here.parents[1] / "config" / "rules", here / "rules"):
        if path.is_dir():
            return path
    message = "the demo's rules are missing: install the package again"
    raise FileNotFoundError(message)


def demo_settings(bootstrap: str, sandbox: SandboxProcess) -> Settings:
    """The settings of the demo: those that a person would write, and nothing sped up but the probes."""
    workspace = sandbox.workspace
    return Settings.model_validate(
        {
            "kafka": {
                "bootstrap_servers": (bootstrap,),
                "topics": tuple(TOPICS),
                "group_id": "shop-notifications",
                "start_from": "earliest",
                "dead_letter_topic": DEAD_LETTERS,
            },
            "suprsend": {
                "base_url": sandbox.url,
                "workspace_key": workspace.key,
                "workspace_secret": workspace.secret,
            },
            "rules": {"path": str(rules_directory())},
        }
    )


@contextmanager
def staged(rate: float, records: int | None, seed: int) -> Iterator[Stage]:
    """Everything up and running; all of it is gone when the block is left."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess())
        kafka = stack.enter_context(MockCluster({**TOPICS, DEAD_LETTERS: 1}))
        quiet = stack.enter_context(Path(os.devnull).open("wb"))
        logs = Logs(descriptor=quiet.fileno(), form="json")
        logs.capture_libraries()
        stack.callback(logs.close)
        app = App(demo_settings(kafka.bootstrap, sandbox), logs)
        story = Story()
        app.start()
        feed = threading.Thread(
            target=_feed, args=(kafka.bootstrap, sandbox, story, rate, records, seed), name="feed", daemon=True
        )
        feed.start()
        yield Stage(app, sandbox, kafka, story)


def _feed(bootstrap: str, sandbox: SandboxProcess, story: Story, rate: float, records: int | None, seed: int) -> None:
    """Write at an even rate until the story is over; make both mishaps happen on the way."""
    try:
        feeder = DemoProducer(bootstrap)
        poison_at = POISON_AT if records is None or records > POISON_AT else max(0, (records or 1) // 2)
        for record in Shop(seed).records(poison_at):
            if story.done or (records is not None and story.written >= records):
                break
            feeder.write(record.topic, record.key, record.value)
            story.written += 1
            if record.poison:
                story.poison = time.monotonic() - story.began
            _weather(sandbox, story)
            ahead = story.written / rate - (time.monotonic() - story.began)
            if ahead > 0:
                time.sleep(ahead)
        if feeder.flush():
            story.failed = "not every record could be written to the embedded Kafka"
    except Exception as error:  # noqa: BLE001 (shown on the screen and in the summary)
        story.failed = f"the feed ended: {error}"
    _mend(sandbox, story)
    story.done = True


def _weather(sandbox: SandboxProcess, story: Story) -> None:
    at = time.monotonic() - story.began
    if story.outage is None and at >= OUTAGE_AT:
        sandbox.post_faults({"fault": "status", "status": 503, "apply": False})
        story.outage = (at, None)
    elif story.outage is not None and story.outage[1] is None and at >= story.outage[0] + OUTAGE_SECONDS:
        _mend(sandbox, story)


def _mend(sandbox: SandboxProcess, story: Story) -> None:
    if story.outage is not None and story.outage[1] is None:
        sandbox.clear_faults()
        story.outage = (story.outage[0], time.monotonic() - story.began)
