"""Which models an ensemble is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triovision.errors import ModelError, RecipeError
from triovision.inference import ModelCard
from triovision.inference.card import CARD, MODEL_ID, read_card
from triovision.inference.pooling import union
from triovision.inference.registry import found_models, model_folders


@dataclass(frozen=True, slots=True)
class EnsembleRequest:
    """What an ensemble is asked for.

    Attributes:
        model_id: Its id.
        members: Ids of models on this machine.
        stand_ins: For some members the id of a model of the same labels that answers in its place while weights and
            calibration are fitted and figures are measured: one that held more photos out.
        accuracy: Wanted share of right answers among those that are not abstained.
        models: Folder that the ensemble's folder is written into.
        command: The command line, for the card.
        device: Where the members run; the fastest one present when None.
    """

    model_id: str
    members: tuple[str, ...]
    accuracy: float
    models: Path
    command: str
    stand_ins: Mapping[str, str]
    device: str | None


def member_cards(request: EnsembleRequest) -> tuple[ModelCard, ...]:
    """Cards of the members.

    Raises:
        ModelError: If one is not on this machine.
        RecipeError: If the ensemble's id is none or that of another model, there are fewer than two different members,
            one is an ensemble, or one shares no country with the others.
    """
    _check_id(request)
    if len(set(request.members)) != len(request.members) or len(request.members) < 2:
        raise RecipeError("ensemble", f"got {', '.join(request.members)}", "Give two or more different models")
    cards = tuple(map(_network_card, request.members))
    for card in cards:
        if set(card.labels).isdisjoint(union([other.labels for other in cards if other is not card])):
            raise RecipeError(card.id, "shares no country with the other members", "Leave it out")
    return cards


def fitted_cards(request: EnsembleRequest, cards: Sequence[ModelCard]) -> tuple[ModelCard, ...]:
    """Cards of the models that are fitted and measured: of the members or of those that stand in for them.

    Raises:
        ModelError: If one is not on this machine.
        RecipeError: If one stands in for no member, or has other labels than the member.
    """
    if strangers := request.stand_ins.keys() - set(request.members):
        raise RecipeError(", ".join(sorted(strangers)), "is no member that a model could stand in for", "Give its id")
    fitted = tuple(_network_card(request.stand_ins.get(card.id, card.id)) for card in cards)
    for card, stand_in in zip(cards, fitted, strict=True):
        if card.labels != stand_in.labels:
            raise RecipeError(stand_in.id, f"has other labels than {card.id}", "Give a model of the same countries")
    return fitted


def _network_card(model_id: str) -> ModelCard:
    found = found_models()
    if model_id not in found:
        where = " and ".join(map(str, model_folders()))
        raise ModelError(model_id, "is no model on this machine", f"Models in {where}: {', '.join(found) or 'none'}")
    card = read_card(found[model_id])
    if card.ensemble is not None:
        raise RecipeError(model_id, "is an ensemble itself", "Give its members instead")
    return card


def _check_id(request: EnsembleRequest) -> None:
    if not re.fullmatch(MODEL_ID, request.model_id):
        raise RecipeError(request.model_id, "is no id of a model", "Give one such as ensemble.places10k")
    folder = request.models / request.model_id
    if (folder / CARD).exists() and read_card(folder).ensemble is None:
        raise RecipeError(request.model_id, f"is another model, in {folder}", "Give another --id")
