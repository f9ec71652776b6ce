"""The words of `make bench`: NAME=value, by the defaults of the scenario that is asked for."""

from collections.abc import Iterable, Mapping

Value = float | int | str | tuple


class Options:
    """A scenario's settings: its defaults, overridden by what was asked for. Lists are separated by blanks."""

    def __init__(self, defaults: Mapping[str, Value], asked: Mapping[str, str]) -> None:
        if unknown := sorted(set(asked) - set(defaults)):
            raise ValueError(f"no such option: {', '.join(unknown)}; there is {', '.join(defaults)}")
        self.values = dict(defaults) | {name: _parsed(name, text, defaults[name]) for name, text in asked.items()}

    def __getattr__(self, name: str):
        try:
            return self.values[name.upper()]
        except KeyError:
            raise AttributeError(name) from None


def words(arguments: Iterable[str]) -> dict[str, str]:
    """NAME=value, NAME=value, ... as a dictionary."""
    split = [word.partition("=") for word in arguments]
    if wrong := [name for name, equals, _ in split if not equals]:
        raise ValueError(f"not of the form NAME=value: {', '.join(wrong)}")
    return {name.upper(): value for name, _, value in split}


def _parsed(name: str, text: str, default: Value) -> Value:
    try:
        if isinstance(default, tuple):
            return tuple(type(default[0])(part.replace("_", "")) for part in text.replace(",", " ").split())
        return type(default)(text)
    except ValueError:
        raise ValueError(f"{name}={text}: like {default!r}, please") from None
