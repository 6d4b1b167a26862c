from __future__ import annotations

import math

import pytest
import torch

from triovision.errors import RecipeError
from triovision.geo import distance_km
from triovision.networks.positions import unit_vectors
from triovision.train.losses.position import POSITION_LOSSES, MseDegrees, great_circle_km, position_loss
from triovision.train.losses.registry import LossRegistry

MEAN_DEG, STD_DEG = (10.0, 20.0), (5.0, 40.0)
QUARTER_KM = 6371.0088 * math.pi / 2
#: Guess and truth where formulas break: the same point, poles, antipodes, the date line.
HARD = [
    ((0, 0), (0, 0)),
    ((48.85, 2.35), (48.85, 2.35)),
    ((90, 0), (90, 90)),
    ((90, 0), (-90, 0)),
    ((-90, 30), (10, 30)),
    ((0, 0), (0, 180)),
    ((48.85, 2.35), (-48.85, -177.65)),
    ((0, 179.5), (0, -179.5)),
    ((10, -180), (10, 180)),
]


def loss(name):
    return position_loss(name, MEAN_DEG, STD_DEG, n_components=2)


def standardised(lat_lon):
    return (torch.tensor([lat_lon], dtype=torch.float32) - torch.tensor(MEAN_DEG)) / torch.tensor(STD_DEG)


def test_squared_error_is_that_of_standardised_degrees():
    # Truth (15, -20) is (1, -1); errors 1 and 3 squared and averaged are 5.
    found = loss("mse_degrees")(torch.tensor([[2.0, 2.0]]), torch.tensor([[15.0, -20.0]]))
    assert found.item() == pytest.approx(5)


@pytest.mark.parametrize(("guess", "truth"), HARD)
def test_great_circle_distances_are_those_of_the_rest_of_the_package(guess, truth):
    guess_deg, truth_deg = torch.tensor([guess], dtype=torch.float64), torch.tensor([truth], dtype=torch.float64)
    expected = distance_km(*guess, *truth)
    assert great_circle_km(guess_deg, truth_deg).item() == pytest.approx(expected, abs=0.02)
    # 180° - latitude on the other side of the Earth is the same point, reached over the pole.
    over_the_pole = torch.tensor([[180.0 - guess[0], guess[1] + 180.0]], dtype=torch.float64)
    assert great_circle_km(over_the_pole, truth_deg).item() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("guess", "truth"), HARD)
def test_great_circle_gradients_are_finite_where_formulas_break(guess, truth):
    for dtype in (torch.float32, torch.float64):
        guess_deg = torch.tensor([guess], dtype=dtype, requires_grad=True)
        great_circle_km(guess_deg, torch.tensor([truth], dtype=dtype)).backward()
        assert guess_deg.grad.isfinite().all()
        # No step is longer than the distance on the ground: 111.2 km a degree.
        assert guess_deg.grad.abs().max() <= QUARTER_KM / 90 * 1.001


@pytest.mark.parametrize(
    ("guess", "truth"),
    [((0, 179.5), (0, -179.5)), ((90, 20), (40, 70)), ((-90, 20), (40, 70)), ((0.1, 0.2), (0, 180)), ((3, 4), (50, 6))],
)
def test_great_circle_gradients_agree_with_differences(guess, truth):
    guess_deg = torch.tensor([guess], dtype=torch.float64, requires_grad=True)
    truth_deg = torch.tensor([truth], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda guess_deg: great_circle_km(guess_deg, truth_deg), guess_deg, atol=1e-3)


def test_neighbours_across_the_date_line_are_near_and_are_pulled_across_it():
    outputs = standardised((0.0, 179.5)).requires_grad_()
    target = torch.tensor([[0.0, -179.5]])
    great_circle = loss("great_circle")(outputs, target)
    great_circle.backward()
    # One degree of the equator, in thousands of km; the gradient, by degrees of longitude times their deviation.
    degree = QUARTER_KM / 90 / 1000
    assert great_circle.item() == pytest.approx(degree, rel=1e-3)
    assert outputs.grad[0, 1].item() == pytest.approx(-degree * STD_DEG[1], rel=1e-3)
    assert loss("mse_degrees")(outputs, target).item() == pytest.approx((359 / 40) ** 2 / 2, rel=1e-3)


def test_mixture_loss_is_the_mean_of_log_densities_worked_out_by_hand():
    # Two like components to the north pole with κ = 1: at the pole and the antipode of it.
    outputs = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0] * 2] * 2)
    target = torch.tensor([[90.0, 0.0], [-90.0, 0.0]])
    expected = math.log(2 * math.pi * (1 - math.exp(-2))) + (0 + 2) / 2
    assert loss("von_mises_fisher_mixture")(outputs, target).item() == pytest.approx(expected, rel=1e-5)


def test_answers_are_degrees_on_the_map():
    outputs = torch.cat([standardised(guess) for guess in ((15.0, -20.0), (91.0, 10.0), (0.0, 190.0))])
    expected = torch.tensor([[15.0, -20.0], [89.0, -170.0], [0.0, -170.0]])
    for name in ("mse_degrees", "great_circle"):
        assert loss(name).n_outputs == 2
        torch.testing.assert_close(loss(name).positions_deg(outputs), expected, atol=1e-3, rtol=0)


def test_a_mixture_answers_with_its_heaviest_component_not_its_narrowest():
    paris, rome = unit_vectors(torch.tensor([[48.85, 2.35], [41.89, 12.51]])).tolist()
    outputs = torch.tensor([[*paris, 0.0, 1.0, *rome, 14.0, 0.0]])
    mixture = loss("von_mises_fisher_mixture")
    assert mixture.n_outputs == 10
    torch.testing.assert_close(mixture.positions_deg(outputs), torch.tensor([[48.85, 2.35]]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", list(POSITION_LOSSES))
def test_every_loss_leads_free_outputs_to_the_truth(name):
    torch.manual_seed(0)
    objective = loss(name)
    target = torch.tensor([[48.85, 2.35], [-33.9, 151.2]])
    outputs = torch.randn(2, objective.n_outputs, requires_grad=True)
    optimiser = torch.optim.Adam([outputs], lr=0.5)
    for _ in range(200):
        optimiser.zero_grad()
        objective(outputs, target).backward()
        optimiser.step()
        optimiser.param_groups[0]["lr"] *= 0.97
    answers = objective.positions_deg(outputs.detach()).numpy().T
    assert (distance_km(*answers, *target.numpy().T) < 60).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std_deg": (0.0, 1.0)}, "positive"),
        ({"mean_deg": (math.nan, 1.0)}, "finite"),
        ({"n_components": 0}, "n_components"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"name": "von_mises_fisher_mixture", "mean_deg": MEAN_DEG, "std_deg": STD_DEG, "n_components": 2}
    with pytest.raises(ValueError, match=message):
        position_loss(**arguments | change)


def test_an_unknown_loss_is_refused_with_the_registered_names():
    with pytest.raises(RecipeError, match=r"'huber'.*one of mse_degrees, great_circle, von_mises_fisher_mixture"):
        position_loss("huber", MEAN_DEG, STD_DEG)


def test_a_new_loss_is_found_by_its_name():
    losses = LossRegistry("position")

    @losses.register("new")
    class New(MseDegrees):
        pass

    assert losses["new"] is New
    assert list(losses) == ["new"]
    with pytest.raises(ValueError, match="'new' is New"):
        losses.register("new")
