"""The verb predict: exact inputs, closed forms in floats or certified digits, one plain line for every wrong input."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tightframe import papers
from tightframe.papers import cli
from tightframe.papers.han2022.growth import CLOSED_FORM_PREDICTION
from tightframe.papers.han2022.least_squares import LOSS_PREDICTION
from tightframe.papers.prediction import Input, Prediction, echo, exact, read, settings
from tightframe.theory.symbols import integers, reals

START = "w0=2.35060868,1.62749865,0.92913709"
PATH = ("C=4", "N=7", START, "t=4000")
KNOWN = [6.40590091, 6.33127301, 6.27297952]


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def sets(*words: str) -> list[str]:
    return [each for word in words for each in ("--set", word)]


# ------------------------------------------------------------------------------------------------ what it answers


def test_closed_form_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run("predict", "han2022/closed-form", *sets(*PATH), "--json", capsys=capsys)
    data = json.loads(out)
    assert (code, err) == (0, "")
    assert list(data) == ["claim", "inputs", "values"]
    assert data["claim"] == "han2022/closed-form"
    assert data["inputs"] == {"C": 4, "N": 7, "w0": [2.35060868, 1.62749865, 0.92913709], "t": 4000.0}
    assert [round(w, 8) for w in data["values"]["w"]] == KNOWN


def test_values_come_in_the_order_of_w0(capsys: pytest.CaptureFixture[str]) -> None:
    words = sets("C=4", "N=7", "t=4000", "w0=0.92913709,2.35060868,1.62749865")
    _, out, _ = run("predict", "han2022/closed-form", *words, "--json", capsys=capsys)
    assert [round(w, 8) for w in json.loads(out)["values"]["w"]] == [KNOWN[2], KNOWN[0], KNOWN[1]]


def test_certified_digits(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("predict", "han2022/closed-form", *sets(*PATH), "--digits", "50", "--json")
    code, out, _ = run(*words, capsys=capsys)
    data = json.loads(out)
    assert code == 0
    assert data["values"]["w"][0] == "6.4059009130513295187456718165196051062643448505134"
    assert all(len(w) == 51 for w in data["values"]["w"])
    assert data["inputs"]["w0"] == ["2.35060868", "1.62749865", "0.92913709"]
    assert data["inputs"]["t"] == "4000"


def test_text_output_is_name_value_lines(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("predict", "han2022/closed-form", *sets(*PATH), "--digits", "9")
    assert run(*words, capsys=capsys) == (0, "w = 6.40590091, 6.33127301, 6.27297952\n", "")
    words = ("predict", "han2022/central-path-loss", *sets("C=4", "w=2,1,0"))
    assert run(*words, capsys=capsys) == (0, "loss = 0.2875\n", "")


def test_the_loss_along_the_path_in_python() -> None:
    w = papers.predict("han2022/closed-form", C=4, N=7, w0=np.array([2.35060868, 1.62749865, 0.92913709]), t=4000)
    found = papers.predict("han2022/central-path-loss", C=4, w=w["values"]["w"])
    assert found["values"]["loss"] == pytest.approx(sum(0.5 / (4 + x * x) for x in KNOWN), rel=1e-8)
    digits = papers.predict("han2022/central-path-loss", C=3, w=(Fraction(1, 3), Decimal("0.1")), digits=20)
    assert digits["values"] == {"loss": "0.32682724252491694352"}
    assert digits["inputs"] == {"C": 3, "w": ["1/3", "0.1"]}


def test_python_and_the_command_line_agree(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run("predict", "han2022/closed-form", *sets(*PATH), "--json", capsys=capsys)
    assert json.loads(out) == papers.predict("han2022/closed-form", C="4", N=7, w0=START[3:], t="4e3")


def test_extremes_are_certified() -> None:
    given = {"C": "2", "N": "2", "w0": "1e-9000", "t": "1e9000"}
    assert CLOSED_FORM_PREDICTION.evaluate(given, digits=5)["values"] == {"w": ["1.1892e+2250"]}


def test_a_long_list_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "starts.txt"
    path.write_text("0.5, 1\n2/4\t 1e0,\n" + "\n".join(["0.25"] * 996) + "\n")
    code, out, _ = run(
        *("predict", "han2022/closed-form", *sets("C=1001", "N=2", f"w0=@{path}", "t=0")), "--json", capsys=capsys
    )
    assert code == 0
    assert json.loads(out)["values"]["w"] == [0.5, 1.0, 0.5, 1.0, *[0.25] * 996]


# -------------------------------------------------------------------------------------------------- exact numbers


@given(st.integers(-(10**30), 10**30), st.integers(0, 40), st.integers(-50, 50))
def test_decimals_are_exact(digits: int, places: int, power: int) -> None:
    text = f"{digits}".rjust(places + 2, "0") if digits >= 0 else f"{digits}"
    value = Fraction(digits) * Fraction(10) ** power
    assert exact(f"{text}e{power}") == value
    assert exact(f" {text}E{power:+d} ") == value
    assert exact(f"{digits}/7") == Fraction(digits, 7)
    assert exact(f"{digits}.5") == (abs(digits) + Fraction(1, 2)) * (-1 if digits < 0 else 1)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_the_binary_fractions_that_they_are(value: float) -> None:
    assert float(exact(repr(value))) == value
    assert exact(value) == Fraction(value)
    assert exact(np.float64(value)) == Fraction(value)


@pytest.mark.parametrize("text", [".5", "0.5", "1/2", "5e-1", "+.5", "50e-2", "0.50"])
def test_ways_to_write_a_half(text: str) -> None:
    assert exact(text) == Fraction(1, 2)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "nan",
            "NaN",
            "inf",
            "-inf",
            "1_000",
            "0x10",
            "1,5",
            "1/0",
            "1/2/3",
            "1.5/2",
            "e5",
            ".",
            "1e",
            "--1",
        ),
        *("1 2", "pi", "sqrt(2)", "2**3", "__import__('os')", "1+1", "٣", "1e99999", "1" * 4001, "½"),
        *(True, None, math.nan, math.inf, 1j, Decimal("NaN"), Decimal("1e999999999")),
    ],
)
def test_what_is_no_number_is_refused(text: Any) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is the caller's
        exact(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 80


@given(st.lists(st.fractions(), min_size=1, max_size=5))
def test_echoed_texts_are_exact(values: list[Fraction]) -> None:
    again = [exact(text) for text in echo({"x": tuple(values)}, digits=5)["x"]]
    assert again == values


# -------------------------------------------------------------------------------------------------- wrong inputs


def bad_inputs(tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe1")
    (tmp_path / "empty").write_text("")
    (tmp_path / "words").write_text("1, 2, three")
    closed, loss = ["predict", "han2022/closed-form"], ["predict", "han2022/central-path-loss"]

    def changed(**words: str) -> list[str]:
        values = dict(word.split("=", 1) for word in PATH) | words
        return closed + sets(*(f"{name}={value}" for name, value in values.items() if value != "-"))

    return {
        "too few": (changed(w0="1,2"), "w0: expected C - 1 = 3 values, got 2"),
        "too many": (changed(w0="1,2,3,4"), "w0: expected C - 1 = 3 values, got 4"),
        "zero": (changed(w0="1,0,2"), "expected finite numbers > 0, separated by commas, got 0"),
        "negative": (changed(w0="1,-3/7,2"), "got -3/7"),
        "nan in list": (changed(w0="1,nan,2"), "got nan"),
        "inf": (changed(t="inf"), "got inf"),
        "hole": (changed(w0="1,,2"), "got nothing"),
        "nothing": (changed(w0=""), "got nothing"),
        "before": (changed(t="-1"), "t (time since the start): expected a finite number >= 0, got -1"),
        "nan": (changed(t="nan"), "t (time since the start): expected a finite number >= 0, got nan"),
        "one sample": (changed(N="1"), "N (samples per class): expected an integer >= 2, got 1"),
        "half a sample": (changed(N="2.5"), "expected an integer >= 2, got 2.5"),
        "one class": (changed(C="1"), "C (number of classes): expected an integer >= 2, got 1"),
        "two times": (changed(t="1,2"), "expected a finite number >= 0, got 2 values"),
        "code": (changed(t="__import__('os')"), "got __import__('os')"),
        "missing": (changed(t="-"), "no value for t (time since the start); expected a finite number >= 0"),
        "unknown": (changed(K="4"), "unknown name 'K'; known: C, N, w0, t"),
        "keyword": (changed(digits="4"), "unknown name 'digits'; known: C, N, w0, t"),
        "none": (closed, "no value for C"),
        "twice": (changed() + sets("t=1"), "t is set twice"),
        "no equals": (closed + sets("C4"), "expected --set name=value, got 'C4'"),
        "no name": (closed + sets("=4"), "expected --set name=value"),
        "two lines": (closed + sets("C\n=4", "x\ny=1"), "unknown name"),
        "beyond floats": (changed(t="1e400"), "t: beyond the range of floats; ask for digits"),
        "below floats": (changed(w0="1,1e-400,2"), "w0: beyond the range of floats"),
        "many classes": (changed(C="1" * 300), "w0: expected C - 1"),
        "exponent": (changed(t="1e99999"), "with an exponent beyond 10000"),
        "absent file": (changed(w0=f"@{tmp_path}/absent"), "No such file"),
        "folder": (changed(w0=f"@{tmp_path}"), "w0: cannot read"),
        "null in path": (changed(w0="@a\0b"), "w0: cannot read"),
        "bytes": (changed(w0=f"@{tmp_path}/bytes"), "bytes that are no text"),
        "empty file": (changed(w0=f"@{tmp_path}/empty"), "got nothing"),
        "words": (changed(w0=f"@{tmp_path}/words"), "got three"),
        "no digits": ([*changed(), "--digits", "0"], "--digits"),
        "many digits": ([*changed(), "--digits", "10001"], "--digits"),
        "no claim": (["predict", "han2022/close-form"], "the nearest is han2022/closed-form"),
        "no closed form": (
            ["predict", "han2022/total-covariance"],
            "no closed form to evaluate; those that have one: ",
        ),
        "loss, too many": (loss + sets("C=4", "w=1,2,3,4"), "w: expected C - 1 = 3 values, got 4"),
        "loss, negative": (loss + sets("C=3", "w=-1,2"), "w (SNR singular values): expected finite numbers >= 0"),
        "loss, nan": (loss + sets("C=3", "w=nan,2"), "got nan"),
    }


@pytest.mark.parametrize("name", range(40))
def test_wrong_input_is_one_line_and_exit_code_2(name: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = list(bad_inputs(tmp_path).values())[name]
    code, out, err = run(*words, capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert len(err) < 400
    assert expected in err


def test_every_wrong_input_is_tried(tmp_path: Path) -> None:
    assert len(bad_inputs(tmp_path)) == 40


def test_defaults_and_order() -> None:
    inputs = (Input("n", integers(1), "counts", many=True), Input("t", reals(0), "time", default="1/2"))
    assert read(inputs, {"n": "3,1,2"}) == {"n": (3, 1, 2), "t": Fraction(1, 2)}
    assert read(inputs, settings(["t=2", "n = 5"])) == {"n": (5,), "t": 2}
    prediction = Prediction(inputs, lambda values, digits: {"sum": sum(values["n"])})
    assert prediction.evaluate({"n": [1, np.int64(2)]}) == {"inputs": {"n": [1, 2], "t": 0.5}, "values": {"sum": 3}}


@pytest.mark.parametrize("given", [[True], [None], ["x"], [[1]], {1: 2}, object(), np.array([[1.0, 2.0]]), [1j]])
def test_python_values_that_are_no_numbers_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"w: expected|w \(SNR"):
        LOSS_PREDICTION.evaluate({"C": 2, "w": given})


def test_many_values_are_quick_and_right() -> None:
    """10^5 of them in one call, against the formula; that it is quick is for the benchmarks to say."""
    w = [k / 7 for k in range(10**5)]
    found = LOSS_PREDICTION.evaluate({"C": 10**5 + 1, "w": ",".join(map(repr, w))})
    assert found["values"]["loss"] == pytest.approx(math.fsum(0.5 / (10**5 + 1 + x * x) for x in w), rel=1e-13)


def test_changed_closed_forms_are_seen() -> None:
    """Mutants: the reference value tells the order, N per class, and the flow apart."""
    right = CLOSED_FORM_PREDICTION.evaluate({"C": 4, "N": 7, "w0": START[3:], "t": 4000})["values"]["w"]
    for wrong in ({"N": 28}, {"t": 4001}, {"w0": "0.92913709,1.62749865,2.35060868"}):
        given: dict[str, Any] = {"C": 4, "N": 7, "w0": START[3:], "t": 4000}
        assert CLOSED_FORM_PREDICTION.evaluate(given | wrong)["values"]["w"] != pytest.approx(right, rel=1e-8)
