from __future__ import annotations

import math

import pytest
import torch

from triovision.networks.positions import VonMisesFisherMixture, positions_deg, unit_vectors


def single(log_concentration, dtype=torch.float64):
    """One component that points to the north pole."""
    pole = torch.tensor([[[0.0, 0.0, 1.0]]], dtype=dtype)
    return VonMisesFisherMixture(pole, torch.full((1, 1), log_concentration, dtype=dtype), pole.new_zeros(1, 1))


@pytest.mark.parametrize("log_concentration", [-14.0, -3.0, 0.0, 3.0, 14.0])
def test_the_density_integrates_to_one(log_concentration):
    # Rings of equal steps of log(1 - cos), fine where a narrow component has its mass: d(1 - cos) = (1 - cos) d log.
    edges = torch.linspace(math.log(1e-15), math.log(2), 20_001, dtype=torch.float64)
    drop, step = ((edges[1:] + edges[:-1]) / 2).exp(), edges[1] - edges[0]
    cosine = 1 - drop
    rings = torch.stack([(drop * (2 - drop)).sqrt(), torch.zeros_like(drop), cosine], dim=1)
    mixture = single(log_concentration)
    many = VonMisesFisherMixture(*(part.expand(len(drop), *part.shape[1:]) for part in vars(mixture).values()))
    mass = (2 * math.pi * drop * step * many.log_density(rings).exp()).sum()
    assert mass.item() == pytest.approx(1, abs=1e-6)


def test_a_mixture_integrates_to_one_over_a_grid_of_equal_areas():
    torch.manual_seed(0)
    mixture = VonMisesFisherMixture.from_outputs(torch.randn(1, 20, dtype=torch.float64) * 1.5)
    height = torch.arange(-1 + 1 / 100, 1, 1 / 50, dtype=torch.float64)
    around = torch.arange(0, 2 * math.pi, 2 * math.pi / 200, dtype=torch.float64)
    z, lon = torch.meshgrid(height, around, indexing="ij")
    radius = (1 - z.square()).sqrt()
    points = torch.stack([radius * lon.cos(), radius * lon.sin(), z], dim=-1).reshape(-1, 3)
    many = VonMisesFisherMixture(*(part.expand(len(points), *part.shape[1:]) for part in vars(mixture).values()))
    assert many.log_density(points).exp().mean().item() * 4 * math.pi == pytest.approx(1, abs=1e-3)


def test_densities_worked_out_by_hand():
    # At the mean direction with κ = 1: 1 / (2π (1 - e^-2)); at the antipode e^-2 of it.
    at_pole = 1 / (2 * math.pi * (1 - math.exp(-2)))
    points = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    assert single(0.0).log_density(points).exp().item() == pytest.approx(at_pole)
    assert single(0.0).log_density(-points).exp().item() == pytest.approx(at_pole * math.exp(-2))
    # A concentration of next to nothing is the uniform density.
    assert single(-14.0).log_density(points).exp().item() == pytest.approx(1 / (4 * math.pi), rel=1e-5)


def test_single_precision_keeps_a_narrow_component_narrow():
    # 10 km north of the equator, κ = e^14: log density falls by κ (1 - cos) = κ θ² / 2.
    theta = 10 / 6371.0088
    for dtype in (torch.float32, torch.float64):
        mixture = single(14.0, dtype)
        away = torch.tensor([[math.sin(theta), 0.0, math.cos(theta)]], dtype=dtype)
        fall = mixture.log_density(mixture.directions[:, 0]) - mixture.log_density(away)
        assert fall.item() == pytest.approx(math.exp(14) * theta**2 / 2, rel=1e-4)


def test_outputs_are_read_as_direction_concentration_and_weight():
    outputs = torch.tensor([[0.0, 3.0, 4.0, 0.0, math.log(0.25), -2.0, 0.0, 0.0, 1e9, math.log(0.75)]])
    mixture = VonMisesFisherMixture.from_outputs(outputs)
    torch.testing.assert_close(mixture.directions, torch.tensor([[[0.0, 0.6, 0.8], [-1.0, 0.0, 0.0]]]))
    torch.testing.assert_close(mixture.log_concentrations, torch.tensor([[0.0, 14.0]]))
    torch.testing.assert_close(mixture.log_weights.exp(), torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(mixture.heaviest_directions(), torch.tensor([[-1.0, 0.0, 0.0]]))


def test_densities_have_gradients_that_agree_with_differences():
    torch.manual_seed(0)
    outputs = torch.randn(3, 10, dtype=torch.float64, requires_grad=True)
    points = unit_vectors(torch.tensor([[90.0, 0.0], [10.0, 180.0], [-90.0, 7.0]], dtype=torch.float64))
    assert torch.autograd.gradcheck(
        lambda outputs: VonMisesFisherMixture.from_outputs(outputs).log_density(points), outputs
    )


@pytest.mark.parametrize("scale", [0.0, 1e4, -1e4])
def test_outputs_out_of_bounds_still_have_finite_densities_and_gradients(scale):
    outputs = torch.full((2, 10), scale, requires_grad=True)
    density = VonMisesFisherMixture.from_outputs(outputs).log_density(torch.tensor([[0.0, 0, 1], [0, 0, -1]]))
    density.sum().backward()
    assert density.isfinite().all()
    assert outputs.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 0), (2, 7), (10,)])
def test_outputs_of_another_width_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(n, 5 k\)"):
        VonMisesFisherMixture.from_outputs(torch.zeros(shape))


def test_positions_and_unit_vectors_lead_back_and_off_the_map_onto_it():
    given = torch.tensor([[0.0, 0.0], [45.0, -170.0], [-30.0, 179.0], [91.0, 10.0], [-95.0, 170.0], [5.0, 200.0]])
    on_map = torch.tensor([[0.0, 0.0], [45.0, -170.0], [-30.0, 179.0], [89.0, -170.0], [-85.0, -10.0], [5.0, -160.0]])
    torch.testing.assert_close(positions_deg(unit_vectors(given.double())), on_map.double())
    torch.testing.assert_close(
        unit_vectors(torch.tensor([90.0, 0.0])), torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0
    )
