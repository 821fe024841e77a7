"""A small package that live sources know, answers in the shape of the real ones, and a server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlsysim.entities import Registry
from mlsysim.refreshing import Datum
from mlsysim_registry.catalog import Catalog
from mlsysim_registry.refresh.layering import Refreshed

ACME = """\
title = "Acme list"
publisher = "Acme"
url = "https://example.org/acme"
kind = "dataset"
tier = "primary"
retrieved = "2026-10-04"
"""


def price(
    key: str, rate: str, term: str = "on-demand", provider: str = "Azure", region: str = "eastus"
) -> tuple[str, str]:
    """Return the file of a price."""
    return (
        f"prices/{key}.toml",
        f"""\
name = "{key} machine"
provider = "{provider}"
device = "chip-1"
term = "{term}"
date = "2026-10-03"
region = "{region}"
devices = {{ value = 8, source = "acme", at = "row 1" }}
rate = {{ value = "{rate} USD/h", source = "acme", at = "row 1" }}
""",
    )


def grid(key: str, name: str, carbon: str, year: str = "2024") -> tuple[str, str]:
    """Return the file of a grid."""
    return (
        f"grids/{key}.toml",
        f"""\
name = "{name}"
year = "{year}"
carbon = {{ value = "{carbon} gCO2/kWh", source = "acme", at = "row {name}" }}
boundary = "lifecycle"
average = "average"
""",
    )


CHIP = """\
name = "Chip 1"
vendor = "Acme"
tier = "cloud"

[compute.peak.fp16]
dense = { value = "100 TFLOPS", source = "acme", at = "row 2" }
engine = "matrix"

[memory]
kind = "HBM2"
capacity = { value = "80 GB", source = "acme", at = "row 2" }
bandwidth = { value = "2 TB/s", source = "acme", at = "row 2" }
"""

KNOWN = dict(
    [
        ("sources/acme.toml", ACME),
        price("azure-nd-h100-v5", "90"),
        price("azure-nd-h100-v5-spot", "20", term="spot"),
        price("azure-nd-a100-v4", "30"),
        price("azure-nd-a100-v4-spot", "8", term="spot"),
        price("lambda-8x-h100", "24", provider="Lambda", region="US"),
        grid("fr", "France", "40"),
        grid("gb", "United Kingdom", "200"),
        ("devices/chip-1.toml", CHIP),
    ]
)


class Toy(Registry):
    """A registry that says where its files are."""

    folder: Path


@pytest.fixture
def known(tmp_path: Path) -> Callable[..., Toy]:
    """Write the package and return it as a fresh registry, refreshed numbers included, as a new process would see it."""

    def write(**changes: str) -> Toy:
        for name, text in {**KNOWN, **changes}.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        catalog = Catalog("toy", tmp_path / "data")
        registry = Toy([catalog, Refreshed([catalog])])
        registry.folder = tmp_path / "data"
        return registry

    return write


@pytest.fixture(autouse=True)
def overlay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give every test a folder of refreshed numbers of its own."""
    folder = tmp_path / "overlay"
    monkeypatch.setenv("MLSYSIM_OVERLAY", str(folder))
    monkeypatch.setenv("MLSYSIM_DATA_DIR", str(tmp_path / "user"))
    monkeypatch.delenv("MLSYSIM_OFFLINE", raising=False)
    monkeypatch.delenv("LAMBDA_API_KEY", raising=False)
    return folder


# --- answers in the shape of the real ones, with values of our own --------------------------------------------------


def azure_row(price: float, sku: str = "Standard_ND96isr_H100_v5", **changes: Any) -> dict[str, Any]:
    """Return one row of a price list."""
    return {
        "currencyCode": "USD", "retailPrice": price, "unitPrice": price, "armRegionName": "eastus",
        "effectiveStartDate": "2026-02-01T00:00:00Z", "meterName": "ND96isrH100v5", "skuName": "ND96isrH100v5",
        "productName": "Virtual Machines NDsr H100 v5 Series", "unitOfMeasure": "1 Hour", "type": "Consumption",
        "armSkuName": sku, **changes,
    }  # fmt: skip


def azure_page(*rows: dict[str, Any], following: str | None = None) -> bytes:
    """Return one page of a price list."""
    page = {"BillingCurrency": "USD", "Items": list(rows), "NextPageLink": following, "Count": len(rows)}
    return json.dumps(page).encode()


def uk_answer(actual: object, begins: str = "2026-11-22T12:00Z") -> bytes:
    """Return the present half hour."""
    row = {"from": begins, "to": "2026-11-22T12:30Z", "intensity": {"forecast": 99, "actual": actual, "index": "low"}}
    return json.dumps({"data": [row]}).encode()


def lambda_answer(cents: object, key: str = "gpu_8x_h100_sxm5", gpus: int = 8, name: str = "") -> bytes:
    """Return a list of machines."""
    about = {"name": name or key, "price_cents_per_hour": cents, "specs": {"gpus": gpus, "vcpus": 100}}
    return json.dumps({"data": {key: {"instance_type": about, "regions_with_capacity_available": []}}}).encode()


OWID = b"""\
country,year,iso_code,population,carbon_intensity_elec,gdp
ASEAN (Ember),2025,,,500.5,
Afghanistan,1900,AFG,100,,
France,2023,FRA,100,44.1,
France,2025,FRA,100,42.5,
France,2026,FRA,100,,
United Kingdom,2025,GBR,100,190.25,
"""


# --- numbers as a source gives them ---------------------------------------------------------------------------------


def france(value: str = "42.5", year: str = "2025") -> Datum:
    return Datum("grids/France", "carbon", f"{value} gCO2/kWh", f"row France, {year}", asof=year,
                 context={"boundary": "lifecycle"})  # fmt: skip


def machine(value: str) -> Datum:
    return Datum("prices/azure-nd-h100-v5", "rate", f"{value} USD/h", "Items", asof="2026-02-01")


def carbon(registry: Toy, key: str = "fr") -> float:
    return float(registry.get("grids", key).record.carbon) * 3.6e9  # kg/J to g/kWh


# --- a server on this machine ----------------------------------------------------------------------------------------


class Server:
    """Answers by path; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.drip = threading.Event()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def put(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        """Answer so, and return the address."""
        self.answers[path] = (status, {k.replace("_", "-"): v for k, v in headers.items()}, body)
        return self.url + path


@pytest.fixture(scope="module")
def _running() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, dict(self.headers)))
            status, headers, body = server.answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.path == "/drip":
                self._drip()
            else:
                self.wfile.write(body)

        def _drip(self) -> None:
            try:
                for _ in range(100):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    if server.drip.wait(0.05):
                        return
            except OSError:
                return

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    yield server
    server.drip.set()
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def server(_running: Server) -> Server:
    """Return the server without the answers of other tests."""
    _running.answers.clear()
    _running.asked.clear()
    return _running
