"""The registry is complete: every public name has a program, or a reason why it needs none."""

from __future__ import annotations

import importlib

import pytest

import geomkfac as gk
from geomkfac import updates

from ..updates.profiles import is_rule
from .programs import MODULES, PROGRAMS

ROOMS = (
    "", ".spaces", ".maps", ".metrics", ".networks", ".operators", ".updates", ".interop", ".display", ".testing",
    ".audit", ".cli",
)  # fmt: skip
CLASSES = (gk.MLP, gk.Parameterization, gk.MetricTensor)

WITHOUT_GEOMETRY = {
    "errors": "a module of exceptions",
    "floating": "a kind of scalar",
    "GF": "a kind of scalar",
    "namespace_of": "looks at an array",
    "gauge_fuzzing": "the fuzzing itself",
    "check_gauge": "the fuzzing itself",
    "DiagonalInKroneckerBasis": "a matrix: it lives in coordinates",
    "DualBases": "bases of arrays: they live in coordinates",
    "ExactlyDampedKroneckerProduct": "a matrix: it lives in coordinates",
    "Operand": "a type of arrays",
    "StructuredMatrix": "a matrix: it lives in coordinates",
    "geomkfac info": "says what is installed",
    "load_digits": "reads arrays",
    "load_digits_network": "reads arrays",
    "channel_major": "reorders an array",
    "offset_major": "reorders an array",
    "read_sequences": "reads arrays, and returns them as they are",
    "pad_sequences": "makes one array of several",
    "open_data": "maps arrays",
    "Progress": "counts data",
    "Running": "names words",
    "worker_processes": "makes processes",
    "Piece": "data that are not read yet; what is read from it is a Chunk",
    "architecture": "reads a description, before there are spaces",
    "MLP.stages": "names spaces and maps",
    "MLP.output_places": "a shape",
    "MLP.output_layer": "a number of a layer",
    "draw_correlations": "draws the arrays of assumptions in a named frame, and returns nothing",
    "draw_factors": "draws the arrays of MetricTensor.coordinates, and returns nothing",
    **dict.fromkeys(["ledger_page", "audit_page", "draw_lattice", "lattice_svg"], "writes down reports"),
    "latex": "writes down the arrays of coordinates in a named frame",
    "assert_invariant": "itself runs a rule in two bases",
    **dict.fromkeys(
        [name for name in updates.__all__ if is_rule(getattr(updates, name))],
        "a rule on arrays of coordinates, which need not be invariant",
    ),
    **dict.fromkeys(
        [
            "geomkfac audit", "geomkfac catalogue", "audit", "AuditReport", "Finding", "vary", "Variation",
            "symmetries", "counterexample", "Counterexample", "catalogue", "Catalogue",
        ],
        "runs an optimizer in two parameterizations itself, and refuses one whose second run differs in a bit",
    ),
    **dict.fromkeys(
        ["GROUPS", "Group", "ChangeOfBasis", "OfUnits", "LossScale", "Stored", "subgroups", "ARCHITECTURES"],
        "names changes of parameters",
    ),
    **dict.fromkeys(["Problem", "Twin", "problem_of", "random_problem"], "arrays in the frames that they name"),
    **dict.fromkeys(["on_rule", "on_module", "ModuleToUpdate", "ModuleUpdate"], "names an update of arrays"),
    "UnauditableError": "an exception",
    "UnplaceableModuleError": "an exception",
    "LayerToUpdate": "arrays of a layer: they live in coordinates",
    "NetworkToUpdate": "arrays of a network: they live in coordinates",
    "Update": "a type of functions of arrays",
    "Parameterization.name": "a label",
    "Parameterization.base_frame": "names a frame",
    "Parameterization.inputs": "names a space",
    "Parameterization.outputs": "names a space",
    # Helpers of tests: they draw or check, in frames that they make themselves.
    "Bench": "draws elements for checks of laws",
    "LawViolatedError": "an exception",
    "check_space_laws": "checks laws and returns nothing",
    "check_smooth_map": "checks laws and returns nothing",
    "check_metric_tensor": "checks laws and returns nothing",
}
STRATEGIES = {
    "kinds", "namespaces", "integer_array", "small_arrays", "changes_of_basis", "vector_spaces", "affine_spaces",
    "spaces", "base_spaces_of", "frames", "parameterizations", "elements", "points", "vectors", "affine_maps",
    "samples", "activations", "networks", "convolutional_networks", "recurrent_networks", "covector_metrics", "forms",
}  # fmt: skip
"""Names of geomkfac.testing that draw examples."""


def public_names() -> set[str]:
    names = {
        name
        for room in ROOMS
        for name in importlib.import_module(f"geomkfac{room}").__all__
        if not (room == ".testing" and name in STRATEGIES)
    }
    methods = {f"{cls.__name__}.{name}" for cls in CLASSES for name in dir(cls) if not name.startswith("_")}
    return names | methods | {f"geomkfac {command}" for command in ("verify", "factors", "step", "audit")}


def registered() -> set[str]:
    return {name for entry in PROGRAMS for name in entry.names}


# Attributes of an abstract class that subclasses fill in do not show in `dir`.
FIELDS = {"MLP.inputs", "MLP.outputs", "MLP.layers", "MLP.activations", "MLP.weight_space"}


def test_every_public_name_has_a_program_or_a_reason() -> None:
    missing = sorted(public_names() - registered() - set(WITHOUT_GEOMETRY))
    assert not missing, f"write a @program for {missing} in tests/gauge, or a reason in WITHOUT_GEOMETRY"


def test_no_registered_name_has_gone() -> None:
    known = public_names() | FIELDS | {"AffineSpace.frame", "run"}
    gone = sorted(registered() - known)
    assert not gone, f"{gone} are no public names any more: take them out of their @program"


def test_no_name_has_both_a_program_and_a_reason() -> None:
    twice = sorted(registered() & set(WITHOUT_GEOMETRY))
    assert not twice, f"{twice} have a @program: take them out of WITHOUT_GEOMETRY"


def test_the_command_line_has_no_command_without_a_program() -> None:
    from geomkfac.cli.program import app

    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    missing = sorted({f"geomkfac {name}" for name in names} - registered() - set(WITHOUT_GEOMETRY))
    assert not missing, f"write a @program for {missing} in tests/gauge, or a reason in WITHOUT_GEOMETRY"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def test_programs_name_frames_and_touch_nothing_private(module: object) -> None:
    from pathlib import Path

    source = Path(str(module.__file__)).read_text(encoding="utf-8")  # type: ignore[attr-defined]
    for leak in ("._components", ".components_in(", "._matrix", "_reference_frame", ".storage_frame"):
        assert leak not in source
