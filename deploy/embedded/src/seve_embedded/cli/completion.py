"""Builds the shell completion of `./seve` from the parser: commands, their options, their fixed words. Pure."""

import argparse
from typing import Final

from seve_embedded.cli.arguments import parser

BASH: Final = """\
# Completion of ./seve for bash: eval "$(./seve completion bash)"
_seve() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words
  if ((COMP_CWORD == 1)); then
    words="{commands}"
  else
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _seve seve ./seve
"""

ZSH: Final = """\
# Completion of ./seve for zsh: eval "$(./seve completion zsh)"
autoload -Uz compinit bashcompinit && compinit -u && bashcompinit
{bash}"""


def script(shell: str) -> str:
    """Return what the shell evaluates; `shell` is bash or zsh."""
    words = {name: _words(command) for name, command in _commands().items()}
    cases = "\n".join(f'      {name}) words="{" ".join(several)}" ;;' for name, several in words.items())
    bash = BASH.format(commands=" ".join(words), cases=cases)
    return bash if shell == "bash" else ZSH.format(bash=bash)


def _commands() -> dict[str, argparse.ArgumentParser]:
    [choices] = [action.choices for action in parser()._actions if isinstance(action.choices, dict)]  # noqa: SLF001
    return dict(choices)


def _words(command: argparse.ArgumentParser) -> list[str]:
    actions = command._actions  # noqa: SLF001  (argparse offers no other way to list them)
    fixed = [str(choice) for action in actions for choice in action.choices or ()]
    own = [option for action in actions for option in action.option_strings if option.startswith("--")]
    below = [action.choices.values() for action in actions if isinstance(action.choices, dict)]
    return list(dict.fromkeys([*fixed, *own, *(word for some in below for one in some for word in _words(one))]))
