"""The documentation lists what the code has, no less and no more."""

import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from pydantic_settings import BaseSettings
from typer.main import get_command

import models
from flows.command.cli import app
from models.config import Config
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.row_splits import CTR_PROTOCOLS, RATING_PROTOCOLS
from models.features.declare import optional_names
from models.pipeline.config import RecallConfig
from models.rank.fusion import FORMULAS
from models.rank.registry import RANKERS
from models.recall.registry import CHANNELS
from tasks.config import OnlyWhatIsSet
from warehouse import sql

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = get_command(app).commands

OLD_NAMES = {"dim", "dims", "factors", "ridge", "neighbours", "iterations", "rounds", "share", "kept"}
"""Former names of settings: see docs/conventions.md for the one that each has now."""

FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
"""A fenced block: its language and its text."""


def text(page: str) -> str:
    return (ROOT / page).read_text()


def table(page: str, header: str) -> list[list[str]]:
    """The cells of each row of the table of a page whose header begins with ``header``."""
    lines = text(page).split(f"| {header} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def listed(page: str, header: str) -> list[str]:
    """The names in backticks in the first column of a table."""
    return [name for row in table(page, header) for name in re.findall(r"`([^`]+)`", row[0])]


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language on all pages."""
    return [found[2] for page in PAGES for found in FENCE.finditer(page.read_text()) if found[1] == language]


def documented_calls() -> list[list[str]]:
    """The words after ``matinee`` of every command line on all pages, comments left out."""
    lines = [line.strip() for block in blocks("console") for line in block.replace("\\\n", "").splitlines()]
    calls = [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]
    pure = [[word for word in call if not re.match(r"MATINEE_\w+=", word)] for call in calls]
    return [
        call[1 : call.index(">") if ">" in call else None] for call in pure if Path(call[0]).name == "matinee"
    ]


def settings_of(call: list[str]) -> list[str]:
    """The values of ``--set`` of a command line."""
    return [value for option, value in pairwise(call) if option == "--set"]


def config_classes() -> list[type[Config]]:
    """Every configuration in the code; parameters of flows only repeat some of it."""
    for module in pkgutil.walk_packages(models.__path__, "models."):
        importlib.import_module(module.name)
    importlib.import_module("tasks.config")

    def below(parent: type[Config]) -> Iterator[type[Config]]:
        for child in parent.__subclasses__():
            yield child
            yield from below(child)

    ours = {found for found in below(Config) if found.__module__.startswith(("models.", "tasks."))}
    return [found for found in ours if not issubclass(found, OnlyWhatIsSet)]


def hyper_parameters() -> set[str]:
    section = text("docs/conventions.md").split("## Hyper-parameters", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(r"`([^`]+)`", cell)}


def anchor(heading: str) -> str:
    """The anchor that GitHub and the site give a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {
        anchor(line.lstrip("#")) for line in FENCE.sub("", page.read_text()).splitlines() if line[:1] == "#"
    }


def test_channels() -> None:
    assert listed("docs/extend.md", "channel") == list(CHANNELS)
    by_default = [row[0].strip("`") for row in table("docs/extend.md", "channel") if row[1] == "yes"]
    assert sorted(by_default) == sorted(RecallConfig().channels)


def test_rankers() -> None:
    assert listed("docs/extend.md", "ranker") == list(RANKERS)


def test_formulas() -> None:
    assert listed("docs/configure.md", "formula") == list(FORMULAS)


def test_pre_rankers() -> None:
    from models.prerank.registry import PRE_RANKERS

    assert set(listed("docs/configure.md", "method")) == {"merged", *PRE_RANKERS}


def test_protocols() -> None:
    assert set(listed("docs/evaluate.md", "protocol")) == {*PROTOCOLS, *CTR_PROTOCOLS, *RATING_PROTOCOLS}


def test_sections_of_the_configuration() -> None:
    from tasks.config import Configuration

    assert set(listed("docs/configure.md", "section")) == set(Configuration.model_fields)


def test_tables() -> None:
    created = re.findall(r"create table if not exists (\w+)", sql.load("serving/schema"))
    assert set(listed("docs/query.md", "table | grain")) == {*created, "user_features", "item_features"}


def test_commands() -> None:
    assert {name.removeprefix("matinee ") for name in listed("docs/operate.md", "command")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert (command.help or "").strip()
    assert not [option.name for option in command.params if not getattr(option, "help", None)]


def test_documented_commands_can_be_called() -> None:
    calls = [call for call in documented_calls() if call and not call[0].startswith("-")]
    assert {call[0] for call in calls} >= {"nightly", "recommend", "evaluate"}
    for name, *words in calls:
        COMMANDS[name].make_context(name, words)


def test_documented_settings_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import config

    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    changes = [settings_of(call) for call in documented_calls()]
    assert sum(map(bool, changes)) >= 20
    for items in filter(None, changes):
        config.load(config.parse_set(items))


def test_documented_files_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import config

    files = blocks("toml")
    assert files
    monkeypatch.setenv("MATINEE_CONFIG", str(tmp_path / "matinee.toml"))
    for file in files:
        (tmp_path / "matinee.toml").write_text(file)
        config.load()


def test_documented_queries_are_of_the_tables_there_are() -> None:
    queries = [query for query in blocks("sql") if "quarantine" not in query]
    assert queries
    with duckdb.connect() as con:
        con.execute(sql.load("serving/schema"))
        for query in queries:
            con.execute(query)


def test_features() -> None:
    declared = tomllib.loads(text("tasks/features.toml"))
    published = {
        row[0].strip("`"): re.findall(r"`(\w+)`", row[1])
        for row in table("docs/query.md", "table | features")
    }
    assert published == {
        f"{side}_features": [feature["name"] for feature in declared[side] if "type" in feature]
        for side in ("user", "item")
    }
    read = {row[0]: re.findall(r"`(\w+)`", row[1]) for row in table("docs/extend.md", "of")}
    assert read == {
        side: [feature["name"] for feature in features if not feature.keys() & {"sql", "optional"}]
        for side, features in declared.items()
    }
    assert listed("docs/extend.md", "optional feature") == optional_names(declared)


def test_capabilities_are_reached_by_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name, setting and command in the last column of the tables of the page."""
    from tasks import config

    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    rows = re.findall(r"^\| (?!capability|-).* \| (.*) \|$", text("docs/capabilities.md"), re.MULTILINE)
    reached = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(rows) > 80
    assert all("`" in row for row in rows)
    for name in reached:
        if name.startswith("matinee "):
            command, *options = shlex.split(name)[1:]
            assert command in COMMANDS, name
            assert {word for word in options if word.startswith("--")} <= options_of(command), name
        elif name.startswith("python -m "):
            importlib.import_module(name.removeprefix("python -m "))
        elif "=" in name:
            config.load(config.parse_set(name.split()))
    plain = {name for name in reached if not re.search(r"[ =]", name)}
    assert plain <= names_that_can_be_named()
    assert plain >= {*CHANNELS, *RANKERS, *FORMULAS, *PROTOCOLS.keys() - {"leave-one-out-shuffled"}}


def options_of(command: str) -> set[str]:
    return {option for param in COMMANDS[command].params for option in param.opts}


def names_that_can_be_named() -> set[str]:
    """Channels, rankers, formulas, protocols, features, tables, sections of the configuration."""
    from tasks.config import Configuration

    declared = tomllib.loads(text("tasks/features.toml"))
    features = {feature["name"] for features in declared.values() for feature in features}
    tables = re.findall(r"create table if not exists (\w+)", sql.load("serving/schema"))
    registries = {*CHANNELS, *RANKERS, *FORMULAS, *PROTOCOLS, *CTR_PROTOCOLS, *Configuration.model_fields}
    return registries | features | {*optional_names(declared), *tables}


def test_packages() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == {name.rstrip("/") for name in listed("README.md", "package | holds") if "/" in name}


def test_dependencies_have_a_reason() -> None:
    required = {re.split(r"[<>=]", requirement)[0] for requirement in PROJECT["dependencies"]}
    rows = table("docs/extend.md", "package | why")
    named = {name for package, _ in rows for name in package.split(", ")}
    assert named <= required
    reasons = " ".join(why for _, why in rows)
    assert not [name for name in required - named if not re.search(rf"\b{name}\b", reasons)]


def test_the_lock_pins_every_dependency_and_nothing_of_one_machine() -> None:
    lines = [line for line in text("requirements.lock").splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines if line.strip())
    extras = [name for group in PROJECT["optional-dependencies"].values() for name in group]
    for requirement in [*PROJECT["dependencies"], *extras]:
        assert re.split(r"[\[<>=]", requirement)[0] in pins
    assert pins["torch"] == "2.13.0"


def test_variables_are_those_the_code_reads() -> None:
    code = [
        path.read_text() for name in ("flows", "tasks", "warehouse") for path in (ROOT / name).rglob("*.py")
    ]
    read = {name for file in code for name in re.findall(r"environ\S*?[\"'](MATINEE_\w+)", file)}
    importlib.import_module("tasks.settings")
    for settings in BaseSettings.__subclasses__():
        if (prefix := settings.model_config["env_prefix"]) == "MATINEE_":
            read |= {prefix + field.upper() for field in settings.model_fields}
    assert set(listed("docs/operate.md", "variable")) == read


def test_settings_are_described_and_have_one_name_each() -> None:
    classes = config_classes()
    assert len(classes) > 30
    fields = [
        (found.__name__, name, found.model_fields[name])
        for found in classes
        for name in found.model_fields.keys() & vars(found).get("__annotations__", {}).keys()
    ]
    assert not [(where, name) for where, name, _ in fields if name in OLD_NAMES]
    assert not [(where, name) for where, name, field in fields if not (field.description or "").strip()]
    used = Counter(name for _, name, _ in fields)
    assert {name for name, times in used.items() if times > 1} <= hyper_parameters() <= set(used)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if re.match(r"https?://", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        assert not fragment or fragment in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_words_are_those_of_the_field(page: Path) -> None:
    assert not re.findall(r"\b(?:rooms?|houses?)\b", page.read_text(), re.IGNORECASE)


def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {page.stem: (tmp_path / f"{page.stem}.html").read_text() for page in ROOT.glob("docs/*.md")}
    assert 'src="pipeline.svg"' in pages["index"]
    assert not re.findall(
        r"<(?:script|link|img)[^>]+(?:src|href)=\"?(?:https?:)?//[^>]+>", "".join(pages.values())
    )


@pytest.mark.parametrize("order", ["torch, faiss", "faiss, torch"])
def test_torch_and_faiss_live_together_in_any_order(order: str) -> None:
    script = (
        f"import {order}; import numpy as np; torch.ones(64, 64) @ torch.ones(64, 64);"
        "index = faiss.IndexFlatIP(8); index.add(np.eye(8, dtype=np.float32));"
        "print(index.search(np.eye(8, dtype=np.float32), 1)[1].ravel().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == str(list(range(8)))
