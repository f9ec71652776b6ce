"""`./seve` before it starts a mode: completion, modes, installation; and it needs only a Python without packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from seve_embedded.cli import arguments, completion, install, mode

ROOT = Path(__file__).parents[3]
START = ROOT / "deploy/seve.py"


def seve(*words, **environ):
    """Run `./seve` on a Python without site-packages."""
    command = [sys.executable, "-I", "-S", str(START), *words]
    environ = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environ, timeout=60)


@pytest.mark.parametrize("command", [[], ["up"], ["audit"], ["simulate"], ["deadletter"], ["explain"], ["psql"]])
def test_every_command_has_its_help_before_anything_is_installed(command):
    done = seve(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(" ".join(["usage: seve", *command]))


def test_an_unknown_mode_is_a_fault_of_the_setting():
    done = seve("status", MODE="dokcer")
    assert (done.returncode, done.stderr) == (2, "setting MODE = 'dokcer': expected docker or embedded\n")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["st"], ["status"]), (["logs", "--o"], ["--once"]), (["deadletter", "re"], ["retry"])],
)
def test_bash_completes_commands_options_and_words(words, wanted):
    program = f"{completion.script('bash')}\nCOMP_WORDS=(./seve {' '.join(words)}); COMP_CWORD={len(words)}; _seve\n"
    done = subprocess.run(
        ["bash", "-c", f'{program}printf "%s\\n" "${{COMPREPLY[@]}}"'], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == wanted


def test_zsh_gets_bashs_completion_through_its_own_bridge():
    text = completion.script("zsh")
    assert "bashcompinit" in text
    assert completion.script("bash") in text


def never():
    raise AssertionError("the engine was asked")


def test_a_chosen_mode_asks_no_engine(tmp_path):
    assert mode.choose("up", {"MODE": "embedded"}, tmp_path, never) == mode.EMBEDDED
    assert mode.choose("down", {"MODE": "docker"}, tmp_path, never) == mode.DOCKER


def test_up_takes_docker_where_it_can_run_and_else_says_why_not(tmp_path, capsys):
    assert mode.choose("up", {}, tmp_path, lambda: None) == mode.DOCKER
    assert mode.choose("up", {}, tmp_path, lambda: mode.NO_ENGINE) == mode.EMBEDDED
    assert capsys.readouterr().err == ""
    assert mode.choose("up", {}, tmp_path, lambda: "an image is missing") == mode.EMBEDDED
    assert "an image is missing: running without it" in capsys.readouterr().err


def test_other_commands_take_the_mode_of_the_last_up(tmp_path):
    assert mode.choose("status", {}, tmp_path, never) == mode.EMBEDDED
    mode.remember(mode.DOCKER, tmp_path)
    assert mode.choose("status", {}, tmp_path, never) == mode.DOCKER


def test_a_running_embedded_stack_keeps_its_mode(tmp_path):
    """Even for `up` on a machine that has an engine by now."""
    pids = tmp_path / ".seve/run/pids"
    pids.mkdir(parents=True)
    (pids / "nats").write_text(f"{os.getpid()} start\n")
    assert mode.choose("up", {}, tmp_path, never) == mode.EMBEDDED


def test_packages_are_not_installed_twice(tmp_path, monkeypatch):
    """A changed lock is installed again, and so is a folder that was moved."""
    installed = []
    monkeypatch.setattr(install, "_install", lambda _root, lock: installed.append(lock))
    for file in ["locks/dev.lock", "locks/embedded.lock", *(f"{one}/pyproject.toml" for one in install.PACKAGES)]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("pinned")
    install.ensure(tmp_path, install.EMBEDDED)
    install.python(tmp_path).parent.mkdir(parents=True)
    install.python(tmp_path).touch()
    (tmp_path / ".venv/dev").write_text(install._fingerprint(tmp_path, "dev"))
    install.ensure(tmp_path, install.EMBEDDED)
    install.ensure(tmp_path, install.DEV)
    assert installed == ["embedded"]
    (tmp_path / "locks/dev.lock").write_text("pinned otherwise")
    install.ensure(tmp_path, install.DEV)
    assert installed == ["embedded", "dev"]


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("audit", ["seve_writer", "audit"]),
        ("explain", ["seve_ingest", "explain"]),
        ("simulate", ["seve_fleet"]),
        ("deadletter", ["seve_ingest", "deadletter"]),
        ("export", ["seve_history", "export"]),
    ],
)
def test_the_options_of_a_program_that_is_started_are_the_programs_own(command, program):
    """The command line repeats them, for `--help` and completion."""
    said = subprocess.run([sys.executable, "-m", *program, "--help"], check=True, capture_output=True, text=True).stdout
    words = completion._words(completion._commands()[command])
    assert words
    assert [word for word in words if word not in said] == []
    assert command in arguments.PASSING_ON
