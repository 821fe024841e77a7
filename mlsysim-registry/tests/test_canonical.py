"""One canonical form: same data, same comments, whatever the order of the input."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsysim.errors import RegistryError
from mlsysim_registry.canonical import canonical

from .conftest import FILES

MESSY = """\
# About this chip.

[power] # draw
tdp = {source='acme',  at = "table 1", value = "400 W"}   # sustained
# which kind of memory
[memory]
capacity = [ {value = "80 GB", at = "row", source = "acme"}, # label
  {value = "80 GB", source = "other", at = "row"} ]
kind = 'HBM2'
[compute.peak.fp16]
engine = "matrix"
dense = { at = "table 1", value = "150 TFLOPS", source = "acme" }
[[ports]]
count = { value = 9, source = "acme", at = "table" }
link = "a"
[compute]
clock = { value = "1.5 GHz", source = "acme", at = "table 1" }
"""

TIDY = """\
# About this chip.

[compute]
clock = { value = "1.5 GHz", source = "acme", at = "table 1" }

[compute.peak.fp16]
dense = { value = "150 TFLOPS", source = "acme", at = "table 1" }
engine = "matrix"

# which kind of memory
[memory]
kind = "HBM2"
capacity = [ {value = "80 GB", at = "row", source = "acme"}, # label
  {value = "80 GB", source = "other", at = "row"} ]

[power]  # draw
tdp = { value = "400 W", source = "acme", at = "table 1" }  # sustained

[[ports]]
link = "a"
count = { value = 9, source = "acme", at = "table" }
"""


def test_a_messy_file_becomes_tidy_and_keeps_its_comments() -> None:
    assert canonical(MESSY, "devices") == TIDY
    assert tomli.loads(TIDY) == tomli.loads(MESSY)


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_form_is_stable(name: str) -> None:
    kind = name.split("/", maxsplit=1)[0]
    once = canonical(FILES[name], kind)
    assert canonical(once, kind) == once
    assert tomli.loads(once) == tomli.loads(FILES[name])


def test_a_comment_between_keys_goes_with_the_next_key() -> None:
    text = 'name = "x"\n# a rate\nbandwidth = { value = "1 GB/s", source = "a", at = "b" }\ngeneration = "1"\n'
    lines = canonical(text, "links").splitlines()
    assert lines[lines.index("# a rate") + 1].startswith("bandwidth")
    assert lines.index('generation = "1"') < lines.index("# a rate")


def test_a_comment_at_the_end_stays() -> None:
    assert canonical('name = "x"\n# the end', "links").endswith("# the end\n")


def test_text_over_several_lines_and_quotes_survive() -> None:
    text = 'name = \'a "b" \\\\ c\'\nnote = """\nfirst\nsecond"""\n'
    assert tomli.loads(canonical(text, "links")) == tomli.loads(text)
    assert '"""\nfirst' in canonical(text, "links")


@pytest.mark.parametrize("text", ["name = ", "[a]\n[a]\n", "\x00", "x = 1\nx = 2"])
def test_what_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(RegistryError, match=r"f\.toml"):
        canonical(text, "devices", "f.toml")


_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.permutations(FILES["devices/acme/chip-1.toml"].split("\n\n")), _words, st.integers(0, 60))
def test_order_and_comments_of_the_input_do_not_matter(blocks: list[str], words: str, row: int) -> None:
    head = FILES["devices/acme/chip-1.toml"].split("\n\n")[0]
    body = [block for block in blocks if block != head]
    plain = "\n\n".join([head, *body])
    lines = plain.split("\n")
    row %= len(lines)
    if not any(lines[row - 1 : row]) or "{" not in lines[row - 1]:
        lines.insert(row, f"# {words}")
    commented = "\n".join(lines)
    tidy = canonical(commented, "devices")
    assert tomli.loads(tidy) == tomli.loads(plain)
    assert (f"# {words}".strip() in tidy) or commented == plain
    assert canonical(plain, "devices") == canonical(FILES["devices/acme/chip-1.toml"], "devices")
