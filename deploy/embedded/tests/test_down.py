"""A stack can be stopped even if its settings have become faulty."""

import pytest
from seve_embedded.__main__ import main
from seve_embedded.cli.dispatch import _environ
from seve_embedded.shared.env_file import EnvFileError

BROKEN = "NATS_PORT=abc\nthis is no variable\n"


def test_down_works_with_settings_that_cannot_be_used(tmp_path, monkeypatch, capsys):
    """Any other command names the fault and does nothing."""
    (tmp_path / ".env").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    assert main(["down"]) == 0
    assert "setting" not in capsys.readouterr().err
    assert main(["status"]) == 2
    assert "setting" in capsys.readouterr().err


def test_the_launcher_lets_down_pass_too(tmp_path):
    """The launcher reads `.env` before a mode does."""
    (tmp_path / ".env").write_text(BROKEN)
    assert "NATS_PORT" not in _environ("down", tmp_path / ".env")
    with pytest.raises(EnvFileError):
        _environ("up", tmp_path / ".env")
