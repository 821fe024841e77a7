"""argparse with suggestions for typos, and with commands that plugins add."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from ..errors import ConfigError, PluginError
from ..names import did_you_mean

if TYPE_CHECKING:
    from ..plugins import Plugins

__all__ = ["Commands", "Parser", "add_command", "add_plugin_commands", "make_parser"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are errors of mlsysim, with suggestions.

    Parameters
    ----------
    **options : object
        As for :class:`argparse.ArgumentParser`.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def add_subparsers(self, **options: Any) -> Any:
        """Add a collection of commands.

        Parameters
        ----------
        **options : object
            As for argparse.

        Returns
        -------
        Commands
        """
        options.setdefault("action", Commands)
        return super().add_subparsers(**options)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Add an argument; one that chooses a format, json among them, gets ``--json`` beside it.

        Parameters
        ----------
        *names : str
            As for argparse.
        **options : object
            As for argparse.

        Returns
        -------
        argparse.Action
        """
        action = super().add_argument(*names, **options)
        if "--format" in names and "json" in (options.get("choices") or ()):
            super().add_argument("--json", dest="format", action="store_const", const="json",
                                 default=argparse.SUPPRESS, help="the same as --format json")  # fmt: skip
        return action

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments.

        Parameters
        ----------
        message : str
            What argparse says.

        Raises
        ------
        ConfigError
            Always.
        """
        missing = message.partition("arguments are required: ")[2]
        if missing:
            message = f"{missing} is missing"
        option, _, needs = message.removeprefix("argument ").partition(": expected ")
        if needs:
            message = f"{option} needs {needs.replace('one argument', 'a value')}"
            remedy = f"Write {option}=VALUE where the value begins with a dash"
        else:
            meant = [f"{action.metavar} is {action.help}" for action in self._actions
                     if action.help and action.metavar in missing.split(", ")]  # fmt: skip
            remedy = "; ".join([*meant, f"`{self.prog} --help` shows examples"])
        raise ConfigError(message, where=self.prog, remedy=remedy)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse arguments.

        Parameters
        ----------
        words : sequence of str
            The arguments.

        Returns
        -------
        argparse.Namespace
            With ``run`` set by the chosen command.

        Raises
        ------
        ConfigError
            On an unknown command, option or value.
        """
        args, extra = self.parse_known_args(words)
        used = getattr(args, "parser", self)
        if extra:
            used.refuse(extra)
        if not hasattr(args, "run"):
            used.error("COMMAND is missing")
        return args

    def refuse(self, extra: Sequence[str]) -> NoReturn:
        """Refuse words that no argument takes.

        Parameters
        ----------
        extra : sequence of str
            What was left over.

        Raises
        ------
        ConfigError
            Always; a misspelt option gets a suggestion.
        """
        odd = next((word for word in extra if word.startswith("-")), None)
        if odd is None:
            self.error(f"I do not know what to do with {extra[0]!r}")
        name = odd.partition("=")[0]
        known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        raise ConfigError(
            f"there is no option {name}",
            where=self.prog,
            remedy=did_you_mean(name, known, listing=f"{self.prog} --help"),
        )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Replace argparse's list of choices by a suggestion."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        command = isinstance(action, Commands)
        option = "/".join(action.option_strings)
        what = f"there is no command {value!r}" if command else f"{option} {value!r} is not a choice".lstrip()
        listing = f"{self.prog} --help" if command else ""
        parsers = action.choices if isinstance(action, Commands) else {}
        inner = [
            f"`{self.prog} {name} {value}`" for name in known if name in parsers and value in _inner(parsers[name])
        ]
        if inner:
            raise ConfigError(what, where=self.prog, remedy=f"Did you mean {' or '.join(inner)}?")
        raise ConfigError(what, where=self.prog, remedy=did_you_mean(str(value), known, listing=listing))


def _inner(parser: Any) -> set[str]:
    """Return the commands of a command."""
    return {str(name) for action in parser._actions if isinstance(action, Commands) for name in action.choices}


class Commands(argparse._SubParsersAction):  # type: ignore[type-arg]
    """The collection of commands: refuses a name that is taken, and adds what all commands share."""

    def add_parser(self, name: str, **options: Any) -> Any:
        """Add a command.

        Parameters
        ----------
        name : str
            What the user types.
        **options : object
            As for argparse.

        Returns
        -------
        Parser

        Raises
        ------
        PluginError
            If the name is taken.
        """
        if name in self.choices:
            raise PluginError(f"there is a command {name!r} already")
        parser = super().add_parser(name, **options)
        parser.set_defaults(parser=parser)
        return parser

    def forget(self, names: Sequence[str]) -> None:
        """Take commands back.

        Parameters
        ----------
        names : sequence of str
            Commands that were added.
        """
        for name in names:
            del self._name_parser_map[name]
        self._choices_actions[:] = [action for action in self._choices_actions if action.dest not in names]


_ABOUT = "What a machine-learning system will do before it exists, and where every number came from."
_EXAMPLES = """\
examples:
  mlsysim eval llama-3.1-8b --on h100-sxm --batch 32     will it fit, how fast, at what cost?
  mlsysim explain SCENARIO performance.latency           where does the answer come from?
  mlsysim show devices/h100-sxm                          each number with its source
  mlsysim list scenarios                                 what is there to evaluate?

exit codes: 0 good, 2 bad input, 3 does not fit or cannot work, 4 a declared constraint is violated
"""


def make_parser() -> tuple[Parser, Commands]:
    """Make the top of the command line.

    Returns
    -------
    parser : Parser
    commands : Commands
        Still empty.
    """
    parser = Parser(prog="mlsysim", description=_ABOUT, epilog=_EXAMPLES)
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--traceback", action="store_true", help="show where in the program an error arose")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    return parser, commands


def add_command(commands: Commands, name: str, about: str, run: Any, examples: str = "") -> Parser:
    """Add a command with its examples.

    Parameters
    ----------
    commands : Commands
        Where to add it.
    name : str
        What the user types.
    about : str
        One line of help.
    run : callable
        Takes the parsed arguments, returns the exit code.
    examples : str
        Lines that show how to use it.

    Returns
    -------
    Parser
    """
    epilog = (
        "examples:\n" + "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines()) if examples else None
    )
    parser: Parser = commands.add_parser(
        name, help=about, description=about[:1].upper() + about[1:] + ".", epilog=epilog
    )
    parser.set_defaults(run=run)
    return parser


def add_plugin_commands(commands: Commands, loaded: Plugins) -> None:
    """Let plugins add commands; one that fails is listed as broken and everything else works.

    Parameters
    ----------
    commands : Commands
        With the built-in ones.
    loaded : Plugins
        The plugins; the entry of a failing one is replaced.
    """
    manager = loaded.manager
    for position, info in enumerate(loaded.infos):
        plugin = manager.get_plugin(info.name)
        if plugin is None or info.status != "ok":
            continue
        others = [other for other in manager.get_plugins() if other is not plugin]
        before = set(commands.choices)
        try:
            manager.subset_hook_caller("mlsysim_register_commands", others)(commands=commands)
            _check_run(commands, set(commands.choices) - before)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            commands.forget(sorted(set(commands.choices) - before))
            what = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            loaded.infos[position] = attrs.evolve(info, status="broken", reason=f"its commands are left out: {what}")


def _check_run(commands: Commands, names: set[str]) -> None:
    for name in sorted(names):
        parser = commands.choices[name]
        nested = any(isinstance(action, argparse._SubParsersAction) for action in parser._actions)
        if not nested and not callable(parser.get_default("run")):
            raise PluginError(f"the command {name!r} sets no run function. Call parser.set_defaults(run=...)")
