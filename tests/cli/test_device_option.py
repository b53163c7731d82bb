"""``geomkfac info``, and the option --device."""

from __future__ import annotations

import configparser
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import LIBRARIES, LIBRARY_ON, floating_namespace
from geomkfac.arrays.floats import devices
from geomkfac.cli.device_option import library_on
from geomkfac.cli.info import EXTRAS
from geomkfac.errors import DeviceError, GeomkfacError, KindError, MissingExtraError
from geomkfac.interop import read_arrays

ROOT = Path(__file__).parents[2]
NETWORK = ["--activation", "tanh", "--output", "categorical"]


def test_info_lists_kinds_libraries_devices_and_extras(geomkfac: Any) -> None:
    done = geomkfac("info", "--json")
    assert done.status == 0
    found = done.json
    assert list(found["kinds"]) == ["floating", "GF(p)", "Q", "symbols", "degree"]
    by_name = {library["name"]: library for library in found["libraries"]}
    assert by_name.keys() == LIBRARIES.keys()
    assert by_name["numpy"] == {
        "name": "numpy", "version": np.__version__, "extra": None, "devices": ["cpu"], "note": ""
    }  # fmt: skip
    assert by_name["array_api_strict"]["devices"][:3] == ["cpu", "device1", "device2"]
    for name, library in by_name.items():
        assert (library["version"] is None) == (find_spec(name) is None)
    assert found["extras"]["torch"]["installed"] == (find_spec("torch") is not None)


def test_info_is_a_table_for_people(geomkfac: Any) -> None:
    shown = geomkfac("info").output
    assert re.search(r"numpy +2\.\S+ +cpu", shown)
    assert "NumPy's BLAS" in shown


def test_a_library_that_is_not_installed_is_shown_with_its_extra(
    geomkfac: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIBRARIES, "no_such_library", "gpu")
    assert re.search(r"no_such_library +not installed +pip install 'geomkfac\[gpu\]'", geomkfac("info").output)


def test_a_library_that_sees_no_device_says_why(geomkfac: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here(*_: object) -> Any:
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setitem(devices._LISTS, "array_api_strict", none_here)
    monkeypatch.setitem(devices._FINDERS, "array_api_strict", none_here)
    assert re.search(r"none \(cudaErrorNoDevice: no\s+CUDA-capable\s+device is detected\)", geomkfac("info").output)
    with pytest.raises(DeviceError, match=r"finds no device 'cuda' here(?s:.*)cudaErrorNoDevice(?s:.*)geomkfac info"):
        floating_namespace("array_api_strict", device="cuda")


def test_the_extras_are_those_of_the_package() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    assert set(parser["options.extras_require"]) == set(EXTRAS)


# -- where a command computes ----------------------------------------------------------------------------------
@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """A device whose arrays NumPy cannot read, by the name of one that every machine has."""
    monkeypatch.setitem(LIBRARY_ON, "device1", "array_api_strict")
    return "device1"


@pytest.mark.parametrize("basis", ["given", "whitened", "random"])
def test_factors_and_steps_are_the_same_on_a_device(geomkfac: Any, files: Path, elsewhere: str, basis: str) -> None:
    for command in (["factors"], ["step", "--damping", "0.1"]):
        words = [*command, files / "network.npz", files / "data.npz", *NETWORK, "--basis", basis, "--norm", "given"]
        here = geomkfac(*words, "--json", "--out", files / "here.npz").json
        there = geomkfac(*words, "--json", "--out", files / "there.npz", "--device", elsewhere).json
        assert (here.pop("device"), there.pop("device")) == ("cpu", elsewhere)
        assert here.keys() == there.keys()
        found, wanted = read_arrays(files / "there.npz"), read_arrays(files / "here.npz")
        assert set(found) == set(wanted)
        for name in wanted:
            # Sums of at most 40 products in another order, through a basis of condition 1e3 at most, four times.
            bound = 4e3 * 40 * 2.0**-52 * max(np.linalg.norm(wanted[name]), 1.0)
            assert np.linalg.norm(found[name] - wanted[name]) <= bound, name


def test_convolutions_run_on_a_device(geomkfac: Any, tmp_path: Path, elsewhere: str) -> None:
    rng = np.random.default_rng(0)
    network = {
        "a.weight": rng.standard_normal((2, 1, 3, 3)), "a.bias": np.zeros(2),
        "b.weight": rng.standard_normal((10, 128)), "b.bias": np.zeros(10),
    }  # fmt: skip
    np.savez(tmp_path / "network.npz", **network)
    words = ["factors", tmp_path / "network.npz", "digits", "--output", "categorical", "--fisher", "sampled"]
    words += ["--architecture", "convolution(padding=1) tanh dense", "--json"]
    here, there = geomkfac(*words), geomkfac(*words, "--device", elsewhere)
    assert (here.status, there.status) == (0, 0), there.error
    assert abs(there.json["loss"] - here.json["loss"]) <= 1e3 * 128 * 2.0**-52 * here.json["loss"]


@pytest.mark.parametrize("statement", ["LG-3.3", pytest.param("LG-T2.1", marks=pytest.mark.slow)])
def test_verify_runs_its_numeric_checks_on_a_device(geomkfac: Any, elsewhere: str, statement: str) -> None:
    done = geomkfac("verify", statement, "--device", elsewhere, "--jobs", "1", "--json")
    assert done.status == 0, done.error


def test_the_library_of_a_device() -> None:
    assert library_on("numpy", "cpu") == "numpy"
    assert library_on("numpy", "cuda") == "cupy:cuda"
    assert library_on("torch", "cuda") == "torch:cuda"
    assert floating_namespace("array_api_strict:device1") is floating_namespace("array_api_strict", device="device1")


@pytest.mark.parametrize("command", ["factors", "step"])
def test_without_cupy_or_without_a_device_the_error_names_it(geomkfac: Any, files: Path, command: str) -> None:
    if find_spec("cupy") is not None and devices.devices_of("cupy"):
        pytest.skip("there is a CUDA device here")
    done = geomkfac(command, files / "network.npz", files / "data.npz", *NETWORK, "--device", "cuda", "--json")
    assert done.status == 2
    if find_spec("cupy") is None:
        assert "geomkfac[gpu]" in done.error
        assert "MissingExtraError" in done.error
    else:
        assert "cupy finds no device 'cuda' here" in done.error
        assert "DeviceError" in done.error


def test_another_device_is_refused_with_those_known(geomkfac: Any, files: Path) -> None:
    done = geomkfac("factors", files / "network.npz", files / "data.npz", *NETWORK, "--device", "gpu")
    assert done.status == 2
    assert "'cpu', 'cuda'" in done.error


@pytest.mark.parametrize(
    ("library", "device", "error"),
    [
        ("numpy", "cuda", DeviceError),
        ("array_api_strict", "device9", DeviceError),
        ("torch", "cuda:99", DeviceError),
        ("torch", "nowhere", DeviceError),
        ("jax", "cpu:99", DeviceError),
        ("cupy", "cpu", DeviceError),
        ("cupy", "cuda:99", DeviceError),
    ],
)
def test_a_device_that_is_not_there(library: str, device: str, error: type[GeomkfacError]) -> None:
    pytest.importorskip(library)
    with pytest.raises(error, match=rf"{library} finds no device '{device}' here"):
        floating_namespace(library, "float32", device=device)


def test_cupy_without_a_device_says_so() -> None:
    pytest.importorskip("cupy")
    if devices.devices_of("cupy"):
        pytest.skip("there is a CUDA device here")
    with pytest.raises(DeviceError, match=r"cupy finds no device 'cuda' here(?s:.*)cudaError(?s:.*)sees: none"):
        floating_namespace("cupy")


def test_jax_without_doubles_says_how_to_switch_them_on() -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(False), pytest.raises(KindError, match="jax_enable_x64"):
        floating_namespace("jax", "float64")
    assert issubclass(MissingExtraError, ImportError)
