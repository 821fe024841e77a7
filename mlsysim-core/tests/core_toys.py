"""A tiny world with invented numbers: data, solvers and a plugin that nothing real depends on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import attrs

from mlsysim.documents import Document, parse_text
from mlsysim.entities import Entry
from mlsysim.errors import SolverError
from mlsysim.formula import formula
from mlsysim.hookspecs import hookimpl
from mlsysim.numeric import maximum, where
from mlsysim.provenance import Source
from mlsysim.records import KINDS
from mlsysim.solving import Request, Setting, SolverSpec
from mlsysim.structure import read_facts

SHEET = Source("sheet", "Data sheet of toys", "Toymaker", "https://toys.example/sheet", "datasheet", "primary",
               "2026-01-01")  # fmt: skip
REVIEW = Source("review", "Review of toys", "Reviewer", "https://review.example", "page", "secondary", "2026-01-02")
SOURCES = {"sheet": SHEET, "review": REVIEW}

DEVICE = """
name = "Toy One"
vendor = "Toymaker"
tier = "cloud"
aliases = ["one", "Toy 1"]

[compute.peak.bf16]
dense = { value = "100 TFLOP/s", source = "sheet", at = "table 1" }

[compute.peak.int8]
dense = { value = "200 TOP/s", source = "sheet", at = "table 1" }

[memory]
capacity = { value = "16 GB", source = "sheet", at = "table 2" }
bandwidth = [
  { value = "1 TB/s", source = "sheet", at = "table 2" },
  { value = "1,000 GB/s", source = "review", at = "page 3", kind = "measured" },
]

[power]
tdp = { value = "300 W", estimate = "typical of the class", low = "200 W", high = "400 W" }
"""
MODEL = """
name = "Toy Net"
lab = "Toy Lab"
parameters = { value = "1 billion", source = "sheet", at = "page 9" }
work = { value = "2 GFLOP/sample", source = "sheet", at = "page 9" }
"""
CLASSES: dict[str, dict[str, str]] = {
    "devices": {
        "toy-one": DEVICE,
        "toy-two": DEVICE.replace("Toy One", "Toy Two").replace('["one", "Toy 1"]', '["two"]').replace("100 T", "50 T"),
    },
    "models": {
        "toy-net": MODEL,
        "toy-lm": """
name = "Toy LM"
lab = "Toy Lab"
[transformer]
source = "sheet"
at = "config.json"
layers = 4
hidden = 64
heads = 8
kv_heads = 2
head_dim = 8
ffn = 128
context = 512
vocab = 1000
""",
    },
    "stacks": {
        "toy-stack": """
name = "Toy Stack"
version = "1"
serves = ["inference", "serving"]
assumed_for = ["inference/Toymaker", "serving"]
features = {}
[ceilings]
source = "sheet"
at = "page 1"
compute = 0.5
memory = 0.8
overhead = { value = "5 us", source = "sheet", at = "page 1" }
reserve = { value = "1 GB", source = "sheet", at = "page 1" }
"""
    },
    "nodes": {
        "toy-box": """
name = "Toy Box"
device = "toy-one"
devices = { value = 8, source = "sheet", at = "page 4" }
inner = "toy-wire"
"""
    },
    "links": {
        "toy-wire": """
name = "Toy wire"
bandwidth = { value = "50 GB/s", source = "sheet", at = "page 5" }
"""
    },
    "fabrics": {"toy-mesh": 'name = "Toy mesh"\ntopology = "torus"\nlink = "toy-wire"\n'},
    "clusters": {
        "toy-hall": """
name = "Toy hall"
node = "toy-box"
nodes = { value = 4, source = "sheet", at = "page 6" }
fabric = "toy-mesh"
"""
    },
    "grids": {
        "world": """
name = "World"
year = "2025"
carbon = { value = "480 gCO2e/kWh", source = "review", at = "page 1" }
"""
    },
    "prices": {
        "toy-rental": """
name = "Toy rental"
provider = "Toy cloud"
device = "toy-one"
term = "on-demand"
date = "2026-01-01"
devices = { value = 2, source = "review", at = "page 2" }
rate = { value = "7.2 USD/h", source = "review", at = "page 2" }
"""
    },
    "scenarios": {},
}
SCENARIO: dict[str, Any] = {
    "name": "toys",
    "kind": "inference",
    "workload": {"model": "toy-net", "precision": "bf16", "batch": 4},
    "system": {"device": "toy-one"},
}


def scenario(**tables: Any) -> dict[str, Any]:
    """Return the toy scenario with some tables changed; a dict updates a table, another value replaces it."""
    made = copy.deepcopy(SCENARIO)
    for name, value in tables.items():
        if isinstance(value, dict) and isinstance(made.get(name), dict):
            made[name].update(value)
        else:
            made[name] = value
    return made


class ToySource:
    """A data package in memory."""

    def __init__(self, texts: Mapping[str, Mapping[str, str]] = CLASSES, name: str = "toys") -> None:
        self.name = name
        self.texts = texts

    def keys(self, kind: str) -> list[str]:
        return list(self.texts.get(kind, {}))

    def entry(self, kind: str, key: str) -> Entry:
        name = f"{kind}/{key}.toml"
        text = self.texts[kind][key]
        record: Any
        record, claims = read_facts(KINDS[kind], Document(name, parse_text(text, ".toml", name), text), SOURCES)
        return Entry(kind, key, record, claims, SOURCES, name, self.name)

    def aliases(self, kind: str) -> dict[str, str]:
        return {
            alias: key
            for key, text in self.texts.get(kind, {}).items()
            for alias in parse_text(text, ".toml", key).get("aliases", ())
        }


@formula("s", work="FLOP", peak="FLOP/s", traffic="B", bandwidth="B/s")
def roofline(work: Any, peak: Any, traffic: Any, bandwidth: Any) -> Any:
    """Return the time of a kernel whose arithmetic and traffic overlap.

    Parameters
    ----------
    work : float or array, FLOP
        Arithmetic.
    peak : float or array, FLOP/s
        Its rate.
    traffic : float or array, B
        Bytes moved.
    bandwidth : float or array, B/s
        Their rate.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = max(W / P, Q / B).

    References
    ----------
    Williams, Waterman, Patterson 2009, Roofline.
    """
    return maximum(work / peak, traffic / bandwidth)


class ToyPerformance:
    """Time of one batch, and whether the weights fit."""

    def prepare(self, request: Request) -> dict[str, Any]:
        model, device, workload = request.records["model"], request.records["device"], request.scenario.workload
        if model.work is None:
            raise SolverError(f"{model.name} has no published work", where="workload.model")
        return {
            "work": model.work,
            "batch": workload.batch,
            "weights": model.parameters * (2.0 if workload.precision == "bf16" else 1.0),
            "peak": device.peak_of(workload.precision).dense,
            "bandwidth": device.memory.bandwidth,
            "capacity": device.memory.capacity,
            "assumptions": ("toys do not melt",),
        }

    def compute(self, columns: dict[str, Any]) -> dict[str, Any]:
        work = columns["work"] * columns["batch"]
        time = roofline(work, columns["peak"], columns["weights"], columns["bandwidth"])
        return {
            "feasibility.fits": columns["weights"] <= columns["capacity"],
            "feasibility.memory_required": columns["weights"],
            "feasibility.memory_usable": columns["capacity"],
            "performance.latency": time,
            "performance.latency.log_sd": 0.1,
            "performance.throughput": columns["batch"] / time,
            "performance.bound": where(time * columns["peak"] > work, 1.0, 0.0),
        }


class ToyEconomics:
    """Price of one batch."""

    def prepare(self, request: Request) -> dict[str, Any]:
        price = request.records["price"]
        if price.rate is None:
            raise SolverError(f"{price.name} is a purchase", where="place.price", remedy="Name a rental")
        return {"rate": price.rate / price.devices, "latency": request.inputs["performance.latency"]}

    def compute(self, columns: dict[str, Any]) -> dict[str, Any]:
        return {"macro.cost": columns["rate"] * columns["latency"]}


class ToySustainability:
    """Energy and carbon of one batch."""

    def prepare(self, request: Request) -> dict[str, Any]:
        return {
            "power": request.records["device"].power.tdp,
            "carbon": request.records["grid"].carbon,
            "latency": request.inputs["performance.latency"],
        }

    def compute(self, columns: dict[str, Any]) -> dict[str, Any]:
        energy = columns["power"] * columns["latency"]
        return {"macro.energy": energy, "macro.carbon": energy * columns["carbon"]}


class ToyLifetime:
    """How many batches fit into a horizon that the scenario sets."""

    def prepare(self, request: Request) -> dict[str, Any]:
        return {**request.settings, "latency": request.inputs["performance.latency"]}

    def compute(self, columns: dict[str, Any]) -> dict[str, Any]:
        return {"macro.batches": columns["horizon"] * columns["share"] / columns["latency"]}


PERFORMANCE = SolverSpec(
    name="toy-performance",
    title="Does a toy fit, and how fast is it?",
    question="performance",
    scenarios=("inference", "serving"),
    target="core_toys:ToyPerformance",
    inputs=("model", "device", "stack?"),
    outputs={
        "feasibility.fits": "bool",
        "feasibility.memory_required": "B",
        "feasibility.memory_usable": "B",
        "performance.latency": "s",
        "performance.throughput": "sample/s",
        "performance.bound": "choice: compute, memory",
    },
    labels={
        "feasibility.fits": "fits",
        "feasibility.memory_required": "memory required",
        "feasibility.memory_usable": "memory usable",
        "performance.latency": "time per batch",
        "performance.throughput": "throughput",
        "performance.bound": "bound by",
    },
    columns={
        "work": "FLOP/sample",
        "batch": "sample",
        "weights": "B",
        "peak": "FLOP/s",
        "bandwidth": "B/s",
        "capacity": "B",
    },
    references=("Williams, Waterman, Patterson 2009, Roofline",),
)
ECONOMICS = SolverSpec(
    name="toy-economics",
    title="What does a toy cost?",
    question="economics",
    scenarios=("inference",),
    target="core_toys:ToyEconomics",
    inputs=("price", "performance.latency"),
    outputs={"macro.cost": "USD"},
    labels={"macro.cost": "cost of a batch"},
    columns={"rate": "USD/s", "latency": "s"},
    references=("a definition",),
)
SUSTAINABILITY = SolverSpec(
    name="toy-sustainability",
    title="What energy does a toy take?",
    question="sustainability",
    scenarios=("inference",),
    target="core_toys:ToySustainability",
    inputs=("device", "grid", "performance.latency"),
    outputs={"macro.energy": "J", "macro.carbon": "kg"},
    labels={"macro.energy": "energy of a batch", "macro.carbon": "carbon of a batch"},
    columns={"power": "W", "carbon": "kg/J", "latency": "s"},
    references=("a definition",),
)
LIFETIME = SolverSpec(
    name="toy-lifetime",
    title="How many batches fit into a horizon?",
    question="lifetime",
    scenarios=("inference",),
    target="core_toys:ToyLifetime",
    inputs=("performance.latency",),
    outputs={"macro.batches": "1"},
    labels={"macro.batches": "batches"},
    settings={"horizon": Setting("s", "time to fill"), "share": Setting("1", "share of it that is busy", 1.0)},
    columns={"horizon": "s", "share": "1", "latency": "s"},
    references=("a definition",),
)


@attrs.frozen(eq=False)
class ToyPlugin:
    """Registers whatever it is given; by default the whole toy world."""

    specs: tuple[SolverSpec, ...] = (PERFORMANCE, ECONOMICS, SUSTAINABILITY, LIFETIME)
    sources: tuple[Any, ...] = (ToySource(),)

    @hookimpl
    def mlsysim_register_solvers(self) -> list[SolverSpec]:
        return list(self.specs)

    @hookimpl
    def mlsysim_register_sources(self) -> list[Any]:
        return list(self.sources)
