"""`seve-ingest explain` says what becomes of a message, without a broker."""

import subprocess
import sys
from typing import get_args

import pytest
from seve_ingest.normalise.coerce import REPAIRS
from seve_ingest.normalise.explain import IGNORED, WORDS
from seve_ingest.normalise.normaliser import IgnoredReason


def explain(*arguments, **environ):
    command = [sys.executable, "-m", "seve_ingest", "explain", *arguments]
    done = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **environ}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["m/co2", '{"value": "450,5"}'],
            0,
            ["native: {module}/{sensor}", '"value":450.5', "number_in_text"],
        ),
        (["m/system", "no json"], 1, ["rejected   malformed"]),
        (["m/co2", "warm"], 1, ['"value":null', "and kept   not_a_number"]),
        (["m/co2", '{"dt": 10, "v": [1, 2]}'], 0, ['"value":1.0', '"value":2.0']),
        (["m/co2", "[1, 2]"], 1, ["rejected   malformed: an array of values has no times"]),
        (["m/co2", '[{"n": "t", "v": 21}, {"n": "h", "v": 60}]'], 0, ['"sensorType":"t"', '"sensorType":"h"']),
        (["m/co2", "[]"], 0, ["ignored    empty"]),
        (["m/co2", "1", "--retained"], 0, ["ignored    retained"]),
        (["alone", "1"], 1, ["route      none", "bad_topic"]),
        (["$SYS/x", "1"], 0, ["ignored    sys"]),
        ([], 0, ["{module}/system/config", "measurement"]),
    ],
)
def test_explain(arguments, code, words):
    """Route, envelopes, repairs, or the refusal; the exit code is 1 for a refusal."""
    found, out, _ = explain(*arguments)
    assert (code, []) == (found, [word for word in words if word not in out])


@pytest.mark.slow
def test_a_file_of_routes_is_checked(tmp_path):
    """A fault names file, line and key, with exit code 2; a good file is listed before the presets."""
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('[[route]]\ntopic = "x/{module}"\nkind = "log"\n')
    bad.write_text('[[route]]\ntopic = "x/{module}"\nkind = "logs"\n')
    code, out, _ = explain("--routes", str(good), ROUTE_PRESETS="esphome")
    assert (code, out.splitlines()[0].split()) == (0, ["good.toml", "x/{module}", "log"])
    code, _, err = explain("--routes", str(bad))
    assert (code, f"{bad}:3: kind" in err) == (2, True)


@pytest.mark.slow
def test_the_tests_of_a_file_are_run(tmp_path):
    """By `explain --test` and by `--check`; a failure names file, line and difference, with exit code 2."""
    path = tmp_path / "routes.toml"
    test = '[[test]]\ntopic = "m/co2"\npayload = "1"\nexpect = { value = 1 }\n'
    path.write_text(test)
    assert explain("--test", "--routes", str(path))[:2] == (0, "1 tests of routes passed\n")
    path.write_text(test.replace("value = 1", "value = 2"))
    code, _, err = explain("--test", "--routes", str(path))
    assert (code, f"{path}:1: test: m/co2 1: expected value = 2.0, got 1.0" in err) == (2, True)
    command = [sys.executable, "-m", "seve_ingest", "--check"]
    environ = {"PATH": "/usr/bin:/bin", "ROUTES_FILE": str(path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, "expected value" in done.stderr) == (2, True)


def test_every_repair_and_every_reason_has_its_words():
    """So that metrics can be understood without reading the code."""
    assert (set(REPAIRS), set(get_args(IgnoredReason))) == (set(WORDS), set(IGNORED))
