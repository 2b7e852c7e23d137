"""The README lists what the code has, no less and no more; so does prefect.yaml."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from flows.command.cli import app
from models.rank.registry import RANKERS
from models.recall.registry import CHANNELS
from warehouse import sql

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def listed(heading: str) -> list[str]:
    """The names in backticks in the first column of the table whose header begins with ``heading``."""
    table = README.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [name for line in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_channels() -> None:
    assert listed("channel") == list(CHANNELS)


def test_rankers() -> None:
    assert listed("ranker") == list(RANKERS)


def test_tables() -> None:
    created = re.findall(r"create table if not exists (\w+)", sql.load("serving/schema"))
    assert set(listed("table | grain")) == {*created, "user_features", "item_features"}


def test_commands() -> None:
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert {name.removeprefix("matinee ") for name in listed("command")} == names


def test_features() -> None:
    declared = tomllib.loads((ROOT / "tasks" / "features.toml").read_text())
    for side in ("user", "item"):
        line = next(line for line in README.splitlines() if line.startswith(f"| `{side}_features` | `"))
        published = [feature["name"] for feature in declared[side] if "type" in feature]
        assert re.findall(r"`(\w+)`", line.split("|")[2]) == published
    for side, features in declared.items():
        line = next(line for line in README.splitlines() if line.startswith(f"| {side} | `"))
        read = [feature["name"] for feature in features if "sql" not in feature]
        assert re.findall(r"`(\w+)`", line.split("|")[2]) == read


def test_rooms() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= {name.rstrip("/") for name in listed("room")}


def test_dependencies_have_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = README.split("| package | why |", 1)[1].split("\n\n", 1)[0]
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=]", requirement)[0]
        assert re.search(rf"\b{name}\b", table), name


def test_the_lock_pins_every_dependency_and_nothing_of_one_machine() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")
    ]
    pins = dict(line.split("==") for line in lines if line.strip())
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    for requirement in [*project["dependencies"], *extras]:
        assert re.split(r"[<>=]", requirement)[0] in pins
    assert pins["torch"] == "2.13.0"


def test_variables_are_those_the_code_reads() -> None:
    code = [
        path.read_text() for room in ("flows", "tasks", "warehouse") for path in (ROOT / room).rglob("*.py")
    ]
    read = {name for text in code for name in re.findall(r"environ\S*?[\"'](MATINEE_\w+)", text)}
    assert set(listed("variable")) == read


def test_deployments_name_flows_that_exist() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert "nightly" in {deployment["name"] for deployment in deployments}
    for deployment in deployments:
        module, name = deployment["entrypoint"].rsplit(".", 1)
        assert getattr(importlib.import_module(module), name).name == deployment["name"]
        assert deployment["schedules"][0]["cron"]


@pytest.mark.parametrize("order", ["torch, faiss", "faiss, torch"])
def test_torch_and_faiss_live_together_in_any_order(order: str) -> None:
    script = (
        f"import {order}; import numpy as np; torch.ones(64, 64) @ torch.ones(64, 64);"
        "index = faiss.IndexFlatIP(8); index.add(np.eye(8, dtype=np.float32));"
        "print(index.search(np.eye(8, dtype=np.float32), 1)[1].ravel().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == str(list(range(8)))
