"""Commands and options: typos, help, commands of plugins, fuzzing."""

from __future__ import annotations

import json
from pathlib import Path

import core_toys
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsysim.cli import COMMANDS, main
from mlsysim.hookspecs import hookimpl


def test_typos_are_answered_with_suggestions(run):
    assert "Did you mean 'eval'?" in run("evla").err
    err = run("eval", "toy-net", "--on", "one", "--bacth", "3").err
    assert "there is no option --bacth" in err
    assert "'--batch'" in err
    assert "'--batch'" in run("eval", "toy-net", "--on", "one", "--bathc=3").err
    assert "I do not know what to do with 'extra'" in run("list", "devices", "extra").err
    assert "SCENARIO is missing" in run("eval").err.replace("scenario", "SCENARIO")


def test_abbreviated_options_are_refused_not_guessed(run):
    assert run("eval", "toy-net", "--on", "one", "--form", "json").code == 2


def test_no_command_prints_help(run):
    code, out, _ = run()
    assert code == 0
    assert "commands:" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "examples:" in out
    assert f"  mlsysim {command}" in out
    assert all(len(line) <= 130 for line in out.splitlines())


def test_version(capsys):
    import mlsysim

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mlsysim {mlsysim.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_commands_and_options(run, shell):
    code, out, _ = run("completion", shell)
    assert code == 0
    assert "sweep" in out
    assert "batch" in out


def test_completion_suggests_a_shell(run):
    assert "'bash'" in run("completion", "bsh").err


class Greeter:
    """A plugin with a command."""

    @hookimpl
    def mlsysim_register_commands(self, commands):
        parser = commands.add_parser("greet", help="say hello")
        parser.set_defaults(run=lambda args: print("hello") or 0)


class Raising:
    @hookimpl
    def mlsysim_register_commands(self, commands):
        commands.add_parser("half", help="half done")
        raise ValueError("no luck")


class Taking:
    @hookimpl
    def mlsysim_register_commands(self, commands):
        commands.add_parser("eval")


class Forgetful:
    @hookimpl
    def mlsysim_register_commands(self, commands):
        commands.add_parser("lost")


class Nested:
    @hookimpl
    def mlsysim_register_commands(self, commands):
        inner = commands.add_parser("outer").add_subparsers(metavar="WHAT")
        inner.add_parser("inner").set_defaults(run=lambda args: 0)


def test_a_plugin_adds_a_command(run, isolated_plugins):
    isolated_plugins(core_toys.ToyPlugin(), Greeter())
    assert run("greet") == (0, "hello\n", "")
    assert "say hello" in run("--help").out


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (Raising, "ValueError: no luck"),
        (Taking, "there is a command 'eval' already"),
        (Forgetful, "the command 'lost' sets no run function"),
    ],
)
def test_a_failing_command_breaks_only_its_plugin(run, isolated_plugins, plugin, reason):
    isolated_plugins(core_toys.ToyPlugin(), plugin())
    code, out, _ = run("plugins")
    assert code == 0
    assert "broken" in out
    assert reason in " ".join(out.split())
    help_text = run("--help").out
    assert "half" not in help_text
    assert "lost" not in help_text
    assert run("eval", "toy-net", "--on", "one").code == 0


def test_nested_commands_get_the_same_care(run, isolated_plugins):
    isolated_plugins(core_toys.ToyPlugin(), Nested())
    assert run("outer", "inner").code == 0
    assert "'inner'" in run("outer", "innr").err
    assert run("outer").code == 2


def test_a_fault_of_the_program_is_owned_up_to(world, capsys, isolated_plugins):
    class Buggy:
        @hookimpl
        def mlsysim_register_commands(self, commands):
            commands.add_parser("crash").set_defaults(run=lambda args: 1 / 0)

    isolated_plugins(Buggy())
    assert main(["crash"]) == 1
    err = capsys.readouterr().err
    assert "this is a bug: ZeroDivisionError" in err
    assert "--traceback" in err
    assert "Traceback" not in err
    with pytest.raises(ZeroDivisionError):
        main(["crash", "--traceback"])


def test_interrupt_is_130(world, capsys, isolated_plugins):
    class Slow:
        @hookimpl
        def mlsysim_register_commands(self, commands):
            def wait(args):
                raise KeyboardInterrupt

            commands.add_parser("wait").set_defaults(run=wait)

    isolated_plugins(Slow())
    assert main(["wait"]) == 130
    assert "Traceback" not in capsys.readouterr().err


WORDS = st.one_of(
    st.sampled_from([
        *COMMANDS, "toy-net", "toy-one", "devices/toy-one", "--on", "--batch", "--set", "batch=2", "--vary", "latency",
        "--format", "json", "text", "--json", "--depth", "0", "bandwidth=1 TB/s:2 TB/s:3", "--kind", "inference", "--top",
        "--precision", "int8", "-1", "1e400", "nan", "--field", "", "=", "--", "toys.toml", "--minimise", "--price",
    ]),
    st.text(max_size=8),
)  # fmt: skip


@given(st.lists(WORDS, max_size=8))
def test_no_arguments_ever_show_a_traceback(world, capsys, words):
    writes = {"--csv", "--plot"}
    words = ["x" if writes & {word.partition("=")[0]} else word for word in words]
    before = set(Path.cwd().iterdir())
    code = main(words)
    err = capsys.readouterr().err
    assert code in (0, 2, 3, 4), err
    assert "Traceback" not in err
    assert "this is a bug" not in err
    assert set(Path.cwd().iterdir()) == before


def test_a_choice_of_formats_with_json_has_its_short_form(run):
    assert json.loads(run("show", "devices/toy-one", "--json").out)["key"] == "toy-one"
    assert run("show", "devices/toy-one", "--format", "json").out == run("show", "devices/toy-one", "--json").out
