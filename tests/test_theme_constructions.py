"""Every public construction has a test of the property that gives it its name, and says which.

So a new construction must have one too.  Methods that make something are in the table of the class that has them.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from typing import Any

import geomkfac as gk
from geomkfac.metrics import MetricTensor
from geomkfac.networks import Network
from geomkfac.operators import StructuredMatrix

TESTS = Path(__file__).parent
ROOMS = ("spaces", "maps", "metrics", "networks", "operators", "updates")

PROPERTIES: dict[str, dict[str, str]] = {
    "spaces/test_theme_laws_of_spaces.py": {
        "test_every_sort_of_space_satisfies_its_axioms": "AffineSpace VectorSpace Direction Dual Point Vector Element",
    },
    "spaces/test_affine.py": {
        "test_the_hull_has_homogeneous_coordinates_with_the_weight_last": "Hull",
        "test_an_affine_combination_has_the_combined_coordinates_in_every_frame": "affine_combination",
    },
    "spaces/test_power.py": {"test_a_change_of_basis_acts_at_every_place_alike": "PowerSpace PowerVectorSpace"},
    "spaces/test_product.py": {
        "test_an_element_is_joined_from_its_components_and_split_into_them": "ProductSpace",
        "test_the_pairing_of_a_product_is_the_sum_over_its_factors": "ProductVectorSpace",
    },
    "spaces/test_tensor.py": {
        "test_the_relations_of_the_tensor_product_hold": "TensorProduct tensor",
        "test_a_tensor_is_a_multilinear_map_of_covectors": "contract",
        "test_linear_maps_are_matrices_in_frames": "Hom",
    },
    "spaces/test_canonical.py": {
        "test_each_isomorphism_is_the_map_that_its_formula_says": "swap tensor_as_hom bilinear_as_map dual_of_tensor",
        "test_a_canonical_isomorphism_is_linear_invertible_and_independent_of_frames": "CanonicalIsomorphism",
    },
    "spaces/test_subspace.py": {
        "test_a_covector_annihilates_a_span_just_where_its_restriction_is_zero": "Span",
        "test_the_coset_of_solutions_is_all_solutions_and_no_others": "AffineSubspace MetricTensor.sharp_coset",
    },
    "spaces/frames/test_frame.py": {
        "test_new_coordinates_are_B_times_the_old_ones_plus_c": "BaseFrame",
        "test_derived_frames_are_interned_and_agree_with_the_frames_of_their_parts": "DerivedFrame",
        "test_a_dense_frame_applies_its_matrix_to_vec_of_the_components": "DenseFrame",
    },
    "spaces/frames/test_gauge.py": {
        "test_every_element_is_stored_in_a_random_frame_while_fuzzing": "gauge_fuzzing",
    },
    "spaces/test_parameterization.py": {
        "test_every_space_built_from_the_base_spaces_has_a_frame": "Parameterization",
        "test_the_euclidean_norm_is_that_in_which_its_frames_are_orthonormal": "Euclidean",
    },
    "spaces/samples/test_sample.py": {"test_a_datum_keeps_its_index_whatever_the_chunks": "Sample Chunk"},
    "spaces/samples/test_pieces.py": {"test_a_mapped_sample_is_the_sample_of_its_numbers": "Piece"},
    "maps/test_smooth.py": {
        "test_the_derivative_of_a_linear_map_is_the_map_and_its_pullback_the_transpose": "LinearMap HomDerivative",
        "test_pushforward_and_pullback_are_functorial": "Composition",
    },
    "maps/test_affine.py": {
        "test_an_affine_map_is_W_a_plus_b_in_every_frame": "AffineMap",
        "test_affine_maps_form_an_affine_space_pointwise": "AffineMaps",
        "test_the_pushforward_of_evaluation_is_contraction_with_the_homogeneous_vector": "Evaluation",
    },
    "maps/test_coordinatewise.py": {
        "test_in_its_own_frames_the_map_is_the_array_function_bit_for_bit": "CoordinatewiseMap",
    },
    "maps/test_generic.py": {
        "test_a_batch_that_was_met_meets_the_same_values_in_whatever_frame_it_is_stored": "GenericMap",
    },
    "maps/activations/test_theme_activations.py": {
        "test_values_and_derivatives_have_full_relative_accuracy_in_both_tails": (
            "identity tanh logistic softsign relu leaky_relu elu softplus silu gelu gelu_tanh mish Identity Tanh "
            "Logistic Softsign Relu LeakyRelu Elu Softplus Silu Gelu GeluTanh Mish"
        ),
        "test_polynomials_and_their_derivatives_are_exact_over_a_finite_field": "polynomial Polynomial",
        "test_an_activation_is_found_by_name_or_passed_through": "activation",
    },
    "metrics/test_metric.py": {
        "test_a_metric_is_what_its_name_says": (
            "ConstantMetric EuclideanMetric CovectorMetric FisherMetric PullbackMetric ExpectedMetric "
            "IndependenceMetric AdditiveMetric"
        ),
    },
    "metrics/tensors/test_theme_all_tensors.py": {
        "test_the_matrix_is_the_oracle": "DenseTensor KroneckerTensor DirectSumTensor MetricTensor.dense "
        "MetricTensor.coordinates",
        "test_a_family_of_covectors_is_its_gram_matrix": "CovectorTensor",
        "test_damping_by_a_metric_is_a_sum": "DampedKroneckerTensor MetricTensor.damped",
        "test_flat_is_the_oracle_times_the_vector_for_any_batch": "MetricTensor.flat",
        "test_sharp_undoes_flat_or_says_what_to_do": "MetricTensor.sharp",
        "test_the_rank_is_the_oracles": "MetricTensor.rank",
        "test_eigenvalues_relative_to_a_norm_are_those_of_the_dense_pencil": "MetricTensor.eigenvalues",
        "test_every_law_of_a_metric_tensor_holds": "MetricTensor.nullity MetricTensor.radical "
        "MetricTensor.is_degenerate",
    },
    "metrics/tensors/test_degenerate.py": {
        "test_the_smallest_solution_solves_and_is_orthogonal_to_the_radical": "MetricTensor.minimal_solution",
    },
    "metrics/families/test_theme_laws.py": {
        "test_predictions_are_the_means_of_the_targets": "HeteroscedasticGaussian Poisson SideBySide",
        "test_a_placed_family_does_not_feel_the_frames_of_points_and_vectors": "PlacedFamily",
    },
    "metrics/families/test_theme_families.py": {
        "test_loss_and_gradient_are_sympys_for_every_target": "Categorical Bernoulli",
        "test_loss_and_gradient_of_a_gaussian_are_sympys": "Gaussian",
        "test_a_family_is_found_by_name_or_passed_through": "family",
    },
    "metrics/families/test_reduced_categorical.py": {
        "test_it_is_the_pullback_by_the_affine_map_that_appends_a_zero": "ReducedCategorical",
    },
    "metrics/families/test_generic_family.py": {
        "test_outputs_that_were_met_have_the_same_covectors_in_whatever_frame_they_are_stored": "GenericFamily",
    },
    "networks/test_theme_differential.py": {
        "test_pytorch_finds_the_same_loss_and_gradients": "MLP Network.loss Network.differential "
        "Network.loss_and_differential",
    },
    "networks/test_convolution.py": {
        "test_values_and_gradients_are_pytorchs": "ConvolutionalNetwork Convolution",
        "test_pooling_and_flattening_are_pytorchs": "AveragePooling MaxPooling Dense",
    },
    "networks/test_recurrent.py": {
        "test_values_losses_and_gradients_are_pytorchs": "RecurrentNetwork",
        "test_padding_makes_what_the_lengths_say": "pad_sequences",
    },
    "networks/building/test_architecture.py": {"test_a_line_of_text_is_the_list_that_it_describes": "architecture"},
    "networks/test_assumptions.py": {
        "test_constant_derivatives_are_independent_of_the_activations": "LayerAssumptions",
    },
    "networks/test_theme_kfac.py": {
        "test_it_is_the_additive_metric_of_the_layers_independence_metrics": "Network.kfac_metric",
        "test_the_factors_are_the_means_that_everyone_knows": "KfacMoments LayerMoments",
    },
    "networks/test_theme_law_of_sums.py": {
        "test_moments_of_data_that_are_cut_are_those_of_the_whole": "Network.moments Running",
        "test_processes_sum_what_the_whole_is": "worker_processes",
    },
    "networks/test_theme_oracles.py": {
        "test_the_fisher_metric_is_the_second_order_of_the_divergence": "Network.fisher_metric",
        "test_the_gauss_newton_metric_of_a_euclidean_output_is_the_gaussian_fisher_metric": (
            "Network.gauss_newton_metric"
        ),
    },
    "networks/test_network.py": {
        "test_random_weights_have_variance_one_over_the_number_of_inputs_and_biases_are_zero": "Network.random_weights",
        "test_predictions_are_those_of_the_family_at_the_outputs_place_by_place": "Network.predictions",
    },
    "networks/running/test_progress.py": {"test_at_a_steady_rate_the_estimate_is_right": "Progress"},
    "operators/test_operator.py": {
        "test_the_dense_matrix_is_the_oracle": (
            "DenseMatrix KroneckerProduct BlockDiagonal DiagonalInKroneckerBasis DualBases "
            "ExactlyDampedKroneckerProduct StructuredMatrix.dense"
        ),
        "test_apply_is_the_oracle_on_stacked_columns": "StructuredMatrix.apply",
        "test_unvec_undoes_vec": "StructuredMatrix.vec StructuredMatrix.unvec",
        "test_solve_undoes_apply": "StructuredMatrix.solve",
        "test_the_quadratic_form_is_that_of_the_oracle": "StructuredMatrix.quadratic_form",
        "test_the_transpose_is_that_of_the_oracle": "StructuredMatrix.transpose",
        "test_the_inverse_is_that_of_the_oracle": "StructuredMatrix.inverse",
        "test_a_fractional_power_multiplied_with_itself_is_the_integer_power": "StructuredMatrix.power",
        "test_the_trace_is_that_of_the_oracle": "StructuredMatrix.trace",
        "test_the_rank_is_that_of_the_oracle": "StructuredMatrix.rank",
        "test_logdet_is_that_of_the_oracle": "StructuredMatrix.logdet",
        "test_the_frobenius_norm_is_that_of_the_oracle": "StructuredMatrix.frobenius_norm",
        "test_the_inner_product_with_the_inverse_or_itself_is_that_of_the_oracle": "StructuredMatrix.inner",
        "test_the_condition_number_is_that_of_the_oracle": "StructuredMatrix.condition_number",
        "test_the_covariance_of_a_sample_is_the_matrix": "StructuredMatrix.sample",
        "test_a_sample_is_the_root_of_white_noise": "StructuredMatrix.apply_root",
        "test_a_matrix_equals_itself_and_not_its_square": "StructuredMatrix.equals",
        "test_a_matrix_is_close_to_itself_but_not_to_its_inverse": "StructuredMatrix.is_close",
    },
    "operators/test_theme_linear_operator.py": {
        "test_a_linear_operator_multiplies_as_the_oracle": "StructuredMatrix.as_linear_operator",
    },
    "updates/test_theme_rules.py": {
        "test_steps_are_their_formulas": (
            "GradientDescent NaturalGradient Kfac Foof DiagonalFisher QuasiDiagonalNaturalGradient "
            "UnitwiseNaturalGradient"
        ),
        "test_damping_adds_the_other_metric": "DampedKfac",
        "test_newton_solves_with_the_hessian_it_is_given": "Newton",
        "test_ekfac_divides_by_the_diagonal_in_the_eigenbasis": "EigenvalueCorrectedKfac",
        "test_shampoo_accumulates_both_sides": "Shampoo",
        "test_the_polar_step_is_orthogonal_and_shampoos_first": "PolarStep",
    },
    "updates/test_on_networks.py": {
        "test_factors_and_gradients_are_the_networks_own": "LayerToUpdate NetworkToUpdate",
        "test_a_step_is_laid_out_as_the_weights_are": "Network.to_arrays",
    },
}
"""For each file the tests, and the constructions whose defining property they state."""

TYPES = {"ACTIVATIONS", "Operand", "Update"}
"""Public names that make nothing."""
ATTRIBUTES = {
    "MetricTensor": {"kind"},
    "Network": {"inputs", "layers", "outputs", "output_layer", "output_places", "weight_space"},
    "StructuredMatrix": {"domain_shape", "namespace", "shape", "size"},
}
"""Of classes whose methods are in the table, what is no construction."""


def public_constructions() -> set[str]:
    """The names that rooms list, but for abstract classes and types; and methods of the classes above."""
    names = set()
    for room in ROOMS:
        module = importlib.import_module(f"geomkfac.{room}")
        names |= {name for name in module.__all__ if not inspect.isabstract(getattr(module, name))}
    classes: tuple[Any, ...] = (MetricTensor, Network, StructuredMatrix)
    for one in classes:
        methods = {name for name, _ in inspect.getmembers(one) if not name.startswith("_")}
        names |= {f"{one.__name__}.{name}" for name in methods - ATTRIBUTES[one.__name__]}
    return names - TYPES


def test_every_construction_names_the_test_of_its_property() -> None:
    listed = [name for tests in PROPERTIES.values() for names in tests.values() for name in names.split()]
    assert len(set(listed)) == len(listed)
    missing = public_constructions() - set(listed)
    assert not missing, f"say in PROPERTIES which test states what gives {sorted(missing)} their names"
    assert not set(listed) - public_constructions()


def test_every_test_that_is_named_is_there() -> None:
    for place, tests in PROPERTIES.items():
        tree = ast.parse((TESTS / place).read_text("utf-8"))
        there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert set(tests) <= there, place


def test_the_public_face_of_the_package_is_that_of_its_rooms() -> None:
    rooms = {name for room in ROOMS for name in importlib.import_module(f"geomkfac.{room}").__all__}
    assert set(gk.__all__) - rooms == {"floating", "GF", "namespace_of", "errors"}
