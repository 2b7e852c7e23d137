"""What people typed and what films are called is shown as it is, not taken for markup."""

import sys

import pytest

from flows.command import cli, screen


@pytest.mark.parametrize("word", ["[/x]", "[bold]"])
def test_a_mistake_is_told_in_the_words_it_was_made_in(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["matinee", "recommend", word])
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == 2
    assert capsys.readouterr().err == f"matinee: '{word}' is no user id: ids are whole numbers\n"


def test_a_reason_names_the_film_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    film = {"rank": 1, "title": "Heat (1995)", "year": 1995, "genres": [], "reason": "You saw [rec] [/x]"}
    screen.recommendations({"user_id": 1, "user": None, "recommendations": [film], "release_id": "r"})
    assert "You saw [rec] [/x]" in capsys.readouterr().out
