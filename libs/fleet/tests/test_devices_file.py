"""`seve-simulate --devices`: names and passwords that `./seve device add` wrote."""

import pytest
from seve_fleet.__main__ import _arguments


def read(path):
    return _arguments().parse_args(["--devices", str(path)]).devices


def test_modules_and_passwords_are_read(tmp_path):
    (tmp_path / "file").write_text("module,password\na,1\nb,2\n")
    assert read(tmp_path / "file") == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize("text", [None, "", "a,1\n", "module,password\na\n"])
def test_another_file_is_refused(tmp_path, capsys, text):
    if text is not None:
        (tmp_path / "file").write_text(text)
    with pytest.raises(SystemExit) as ended:
        read(tmp_path / "file")
    assert ended.value.code == 2
    assert "--devices" in capsys.readouterr().err
