"""Deployments have a form, limits and tags; units and services start commands that exist."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prefect.utilities.callables import parameter_schema
from typer.main import get_command

from flows.alerts import automations
from flows.command.cli import app
from flows.command.deploy import POOL
from flows.evaluate import Protocol
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.row_splits import CTR_PROTOCOLS, RATING_PROTOCOLS

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = {row["name"]: row for row in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
UNITS = sorted((ROOT / "deploy").rglob("*.service"))
COMPOSE = sorted((ROOT / "deploy").rglob("compose.yaml"))
VENV = "/opt/matinee/.venv/bin/"


def flow_of(deployment: dict[str, Any]) -> Any:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def test_every_flow_is_deployed() -> None:
    assert DEPLOYMENTS.keys() == {
        "nightly",
        "weekly-cold",
        "hourly",
        "status",
        "evaluate",
        "replay",
        "report",
    }
    scheduled = {name: row["schedules"][0]["cron"] for name, row in DEPLOYMENTS.items() if "schedules" in row}
    assert scheduled.keys() == {"nightly", "weekly-cold", "hourly", "status"}
    assert len(set(scheduled.values())) == len(scheduled), "no two of them begin at once"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_has_a_form_limits_and_tags(name: str) -> None:
    deployment = DEPLOYMENTS[name]
    flow = flow_of(deployment)
    schema = parameter_schema(flow).model_dump()
    for title, field in schema["properties"].items():
        about = field if "$ref" not in field else schema["definitions"][field["$ref"].rpartition("/")[2]]
        assert about.get("description"), title
        assert {"type", "anyOf", "properties", "enum"} & about.keys(), title
    flow.validate_parameters(deployment.get("parameters", {}) | required(name))
    assert flow.timeout_seconds
    assert flow.flow_run_name
    assert {automations.TAG, automations.STATUS_TAG} & set(deployment["tags"])
    assert deployment["work_pool"]["name"] == POOL
    assert deployment["concurrency_limit"]["limit"] == 1


def required(name: str) -> dict[str, str]:
    """Parameters that people must fill in."""
    return {"begin": "2000-11-20", "end": "2000-11-21"} if name == "replay" else {}


def test_the_form_groups_the_settings_and_offers_choices() -> None:
    schema = parameter_schema(flow_of(DEPLOYMENTS["nightly"])).model_dump()
    groups = schema["definitions"]
    assert groups["Changes"]["properties"]["gate"]["$ref"] == "#/definitions/GateConfig"
    fields = [
        (name, field) for group in groups.values() for name, field in group.get("properties", {}).items()
    ]
    undescribed = [name for name, field in fields if "$ref" not in field and not field.get("description")]
    assert len(fields) > 50
    assert not undescribed
    assert groups["Changes"]["properties"]["objective"]["enum"] == ["daily", "visit", "next"]
    assert "Default: 50" in groups["Changes"]["properties"]["top_n"]["description"]


def test_protocols_of_the_form_are_those_there_are() -> None:
    assert set(get_args(Protocol)) == {*PROTOCOLS, *CTR_PROTOCOLS, *RATING_PROTOCOLS}


def started(unit: Path) -> list[list[str]]:
    """The commands of a unit."""
    return [shlex.split(found) for found in re.findall(r"^ExecStart(?:Pre)?=(.+)$", unit.read_text(), re.M)]


def commands() -> list[list[str]]:
    """The commands of all units and services."""
    found = [command for unit in UNITS for command in started(unit)]
    for file in COMPOSE:
        for service in yaml.safe_load(file.read_text())["services"].values():
            words = service.get("command", [])
            parts = words[2].replace("exec ", "").split(" && ") if words[:2] == ["sh", "-c"] else []
            found += [shlex.split(part) for part in parts] or ([words] if words else [])
    return found


def test_every_command_of_an_installation_exists() -> None:
    found = commands()
    assert len(found) >= 6
    for program, *words in found:
        name = Path(program).name
        assert program in (name, f"{VENV}{name}"), program
        assert (Path(sys.executable).parent / name).exists(), program
        if name == "matinee":
            assert words[0] in get_command(app).commands
        if name == "prefect":
            group, command = words[:2]
            assert callable(getattr(importlib.import_module(f"prefect.cli.{group}"), command))


def test_no_server_listens_to_others_unless_somebody_says_so() -> None:
    (server,) = (words for unit in UNITS for words in started(unit) if "server" in words)
    assert server[server.index("--host") + 1] == "127.0.0.1"
    services = yaml.safe_load((ROOT / "deploy" / "server" / "compose.yaml").read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """With programs that are there, since it looks for them."""
    for unit in UNITS:
        text = unit.read_text().replace(VENV, f"{Path(sys.executable).parent}/").replace("/opt/matinee", "/")
        (tmp_path / unit.name).write_text(text)
    found = [str(tmp_path / unit.name.replace("@.", "@1.")) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *found], capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "matinee" in line]
    assert not lines
