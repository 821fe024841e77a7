"""``mlsysim validate`` and ``mlsysim calibrate`` as a user runs them."""

from __future__ import annotations

import json

import pytest

from mlsysim.cli import main
from mlsysim_registry import Catalog
from mlsysim_solvers.calibration.machine_card import overlay_files
from mlsysim_solvers.calibration.probes.backend import choose_backend
from mlsysim_solvers.calibration.probes.plan import run_probes
from mlsysim_solvers.validation.tables import packaged_tables


def test_a_file_of_ones_own_is_validated(tmp_path, capsys):
    file = tmp_path / "own.csv"
    file.write_text(
        "id,model,accelerator,n_accelerators,weight_precision,framework,scenario,batch_or_concurrency,input_len,"
        "output_len,metric,value\n"
        "own-1,Llama 3.1 8B,NVIDIA H100 80GB HBM3,1,fp8,TensorRT-LLM v0.9.0,latency,1,1024,,ttft_ms,25\n"
        "own-2,Llama 3.1 8B,NVIDIA H999,1,fp8,TensorRT-LLM v0.9.0,latency,1,1024,,ttft_ms,25\n"
    )
    assert main(["validate", "--file", str(file), "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in data["rows"]] == ["predicted", "refused"]
    assert "H999" in data["rows"][1]["reason"]
    assert 5.0 < data["rows"][0]["predicted"] < 50.0


def test_all_four_tables_are_detected_by_their_header(tmp_path, capsys):
    for name, path in packaged_tables().items():
        if path.suffix != ".csv":
            continue
        lines = path.read_text(encoding="utf-8").splitlines()[:4]
        file = tmp_path / f"{name}-sample.csv"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert main(["validate", "--file", str(file), "--format", "json"]) == 0
        kinds = {row["kind"] for row in json.loads(capsys.readouterr().out)["rows"]}
        assert kinds == {name}


@pytest.mark.parametrize("words", [["validate", "--file", "missing.csv"], ["validate", "--model", "no such model"]])
def test_mistakes_are_said_without_a_traceback(words, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "error:" in err
    assert "Traceback" not in err


def test_the_figure_is_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "fit.png"
    assert main(["validate", "--source", "trtllm_v0.5.0", "--plot", str(file)]) == 0
    assert file.stat().st_size > 10_000


def test_this_machine_is_measured_into_an_overlay_that_loads(tmp_path):
    found = run_probes(choose_backend("numpy", "")[0], 0.3)
    assert found.bandwidth > 1e8
    assert found.best("fp32").value > 1e8
    assert 0.0 < found.launch < 1e-3
    for name, text in overlay_files(found, "test-machine").items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    catalog = Catalog("own", tmp_path)
    entry = catalog.entry("devices", "test-machine")
    assert entry.record.memory.bandwidth == pytest.approx(found.bandwidth, rel=1e-3)
    assert entry.standing("memory.bandwidth").chosen.kind == "measured"
    assert catalog.entry("stacks", "numpy-test-machine").record.ceilings.overhead == pytest.approx(
        found.launch, rel=1e-3
    )


def test_a_machine_is_never_written_into_a_package(capsys):
    import mlsysim_solvers

    assert main(["calibrate", "device", "--out", mlsysim_solvers.__path__[0], "--seconds", "0.2"]) == 2
    assert "package" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--plot", "x.svg"], ["--left-out"], ["--format", "json"]])
def test_an_ablation_refuses_what_it_would_ignore(more, capsys):
    assert main(["validate", "--ablation", *more]) == 2
    assert more[0] in capsys.readouterr().err
