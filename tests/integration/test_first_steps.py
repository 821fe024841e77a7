"""One line for each kind of model: what a newcomer types first is answered, or the option that is missing is named."""

from __future__ import annotations

import pytest

from mlsysim.cli import main


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run ``mlsysim eval``, lines joined."""
    capsys.readouterr()
    code = main(("eval", *words))
    out, err = capsys.readouterr()
    return code, " ".join(out.split()), err


@pytest.mark.parametrize(("model", "words"), [
    ("gpt2", "input 768, output 256"), ("t5-base", "input 512, output 256"), ("llama-3.1-8b", "input 1024, output 256"),
    ("whisper-large-v3", "output 256, audio 30 s (set --batch, --output, --audio)"),
])  # fmt: skip
def test_the_lengths_of_a_first_question_are_what_the_model_reads(
    capsys: pytest.CaptureFixture[str], model: str, words: str
) -> None:
    code, out, err = asked(capsys, model, "--on", "a100-sxm-80gb")
    assert (code, err) == (0, "")
    assert words in out


def test_half_of_the_lengths_keeps_the_other_within_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert "input 512 tokens · output 100 tokens" in asked(capsys, "t5-base", "--on", "a100", "--output", "100")[1]
    code, out, _ = asked(capsys, "whisper-large-v3", "--on", "a100", "--output", "20", "--audio", "10 s")
    assert code == 0
    assert "audio 10 s" in out
    assert "input" not in out.partition("Feasibility")[0]


@pytest.mark.parametrize(("words", "option"), [
    (("bert-base-uncased",), "--sequence: "), (("llama-3.1-8b", "--audio", "3 s"), "--audio: "),
])  # fmt: skip
def test_what_a_solver_misses_is_named_by_its_option(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], option: str
) -> None:
    code, _, err = asked(capsys, *words, "--on", "a100-sxm-80gb")
    assert code == 2
    assert err.startswith(f"error: {option}")


def test_a_server_that_nobody_is_said_to_ask_is_called_offline(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody may take the answers of a run from a full queue for those of one client."""
    words = ("llama-3.1-8b", "--on", "h100-sxm", "--kind", "traffic")
    for more in ((), ("--concurrency", "0")):
        assert "bf16 · offline · input" in asked(capsys, *words, *more)[1]
    assert "offline" not in asked(capsys, *words, "--concurrency", "1")[1]


def test_a_command_of_another_command_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["refresh"]) == 2
    assert "Did you mean `mlsysim registry refresh`?" in capsys.readouterr().err


def test_clients_vary_only_where_the_scenario_has_some(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "llama-3.1-8b", "--on", "h100-sxm", "--kind", "traffic", "--vary", "concurrency=1,8"]) == 2
    assert "concurrency varies, and the scenario is offline" in capsys.readouterr().err
