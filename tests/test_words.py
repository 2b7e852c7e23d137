"""The words of docs/conventions.md, and none of the private ones that the code once had instead."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("flows", "models", "tasks", "warehouse")
FILES = sorted(path for name in (*PACKAGES, "tests") for path in (ROOT / name).rglob("*.py"))

FORMER = {
    "asked": "target_users, queries",
    "brought": "candidates",
    "figure": "metric",
    "figures": "metrics",
    "foretell": "predict",
    "heeded": "weighted",
    "kept": "negative_rate, or a word for what stays",
    "known": "seen, has_history, has_events",
    "lagging": "holdout_model",
    "learned": "state",
    "learner": "incremental, train",
    "learn": "update",
    "news": "new_events",
    "place": "rank0, position",
    "places": "rank0, positions",
    "room": "package",
    "said": "logits",
    "share": "fraction, blend_weight, dropout, link",
    "shares": "fractions",
    "told": "formatted",
    "touched": "target_users",
    "watcher": "callback",
}
"""Words that had a private meaning in names, and what to write instead."""

ALLOWED = {"Figure", "figure", "kept_releases"}
"""Names of matplotlib; releases are kept in plain English."""

IN_SENTENCES = {"kept", "known", "learn", "learned", "share"}
"""Words that the names of tests, which are sentences, may have in their plain meaning."""

ALIASES = {"Answer", "Doubles", "Floats", "Ints", "Longs", "Mask", "State"}


def names(file: Path) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(file.read_text()).readline):
        if token.type == tokenize.NAME:
            yield token.string


def words(name: str) -> set[str]:
    """The words of an identifier in snake_case or CamelCase, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def private_words(name: str) -> set[str]:
    former = FORMER.keys() - IN_SENTENCES if name.startswith("test_") else FORMER.keys()
    return set() if name in ALLOWED else words(name) & former


def docstrings(file: Path) -> Iterator[str]:
    """Texts that stand alone as statements: of modules, classes, functions, fields and constants."""
    for node in ast.walk(ast.parse(file.read_text())):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.value.value


def test_private_words_are_recognised() -> None:
    assert private_words("merge_share") == {"share"}
    assert private_words("LaggingModel") == {"lagging"}
    assert private_words("test_places_by_hand") == {"places"}
    assert not private_words("n_shared_experts") | private_words("placement") | private_words("kept_releases")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_names_have_the_words_of_the_field(file: Path) -> None:
    assert not {name: words for name in set(names(file)) if (words := private_words(name))}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_docstrings_stand_alone(file: Path) -> None:
    texts = list(docstrings(file))
    assert not [text for text in texts if re.match(r"(?:What|Of) ", text)]
    assert not [text for text in texts if re.search(r"\b[Rr]aises [A-Z]\w*Error", text)]


def test_a_name_has_one_meaning() -> None:
    """A class or an alias of arrays is defined once in all packages; ``log`` is a dataset, never a logger."""
    where: dict[str, list[str]] = defaultdict(list)
    for file in FILES:
        if file.relative_to(ROOT).parts[0] not in PACKAGES or "synthetic" in file.parts:
            continue
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef):
                where[node.name].append(file.name)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name) and target.id in ALIASES:
                        where[target.id].append(file.name)
                    if "getLogger" in ast.unparse(node.value):
                        assert ast.unparse(target) == "logger", file
    assert where.keys() >= ALIASES
    assert not {name: files for name, files in where.items() if len(files) > 1}
