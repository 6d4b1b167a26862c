"""A duel of a player and a model: rounds, distances, GeoScores and the summary as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from triovision.geo import distance_km, geo_score
from triovision.guesses import check_position
from triovision.photo.names import spreadsheet_safe
from triovision.results import CameraFacts, Photo

T = TypeVar("T")

ROUNDS: Final = 5
"""Most rounds of a duel."""

Position = tuple[float, float]
"""`(lat_deg, lon_deg)` in degrees WGS 84."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Challenge:
    """A photo whose place is to be guessed.

    Attributes:
        photo: The photo without its name and metadata, for player and model alike.
        truth: Where it was taken.
        name: Name of the file, for the summary after the answer.
        credit: Markdown with the photographer, if the licence requires it.
    """

    photo: Photo
    truth: Position
    name: str
    credit: str = ""

    @classmethod
    def of(cls, photo: Photo, truth: Position, credit: str = "") -> Challenge:
        """Hide the name and the metadata of a photo.

        Raises:
            ValueError: If the place is not on Earth.
        """
        check_position(*truth)
        return cls(photo=replace(photo, name="", camera=CameraFacts()), truth=truth, name=photo.name, credit=credit)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and its distance from the truth.

    Attributes:
        position: The guess.
        distance_km: Great-circle distance from the truth.
        score: GeoScore, from 0 to 5000.
    """

    position: Position
    distance_km: float
    score: float

    @classmethod
    def to(cls, truth: Position, position: Position) -> Answer:
        """Measure a guess against the truth."""
        distance = float(distance_km(*truth, *position))
        return cls(position, distance, float(geo_score(distance)))


@dataclass(frozen=True, slots=True)
class Round:
    """Both answers to one challenge."""

    challenge: Challenge
    player: Answer
    model: Answer


@dataclass(slots=True)
class Duel:
    """State of a game.

    Attributes:
        challenges: Photos in the order of the rounds.
        model: Id of the model that plays every round.
        rounds: Rounds that were answered.
        revealed: True between an answer and the next round.
    """

    challenges: Sequence[Challenge]
    model: str
    rounds: list[Round] = field(default_factory=list)
    revealed: bool = False

    @property
    def number(self) -> int:
        """Number of the present round, from 1."""
        return len(self.rounds) + (0 if self.revealed else 1)

    @property
    def over(self) -> bool:
        """True once the last round was answered and left."""
        return not self.revealed and len(self.rounds) == len(self.challenges)

    @property
    def challenge(self) -> Challenge:
        """Challenge of the present round."""
        return self.challenges[self.number - 1]

    @property
    def scores(self) -> tuple[float, float]:
        """Sums of the GeoScores of player and model."""
        return sum(one.player.score for one in self.rounds), sum(one.model.score for one in self.rounds)

    def answer(self, player: Position, model: Position) -> None:
        """Record both answers of the present round.

        Raises:
            ValueError: If the round was answered, the game is over, or a position is not on Earth.
        """
        if self.revealed or self.over:
            raise ValueError("this round has its answers already")
        check_position(*player)
        truth = self.challenge.truth
        self.rounds.append(Round(self.challenge, Answer.to(truth, player), Answer.to(truth, model)))
        self.revealed = True

    def advance(self) -> None:
        """Go on to the next round, or to the summary after the last one."""
        self.revealed = False


def shuffled(challenges: Sequence[T], generator: random.Random) -> list[T]:
    """At most `ROUNDS` challenges in random order."""
    return generator.sample(list(challenges), min(ROUNDS, len(challenges)))


def duel_json(duel: Duel) -> str:
    """The answered rounds and the sums, as indented JSON."""
    player, model = duel.scores
    content = {
        "model": duel.model,
        "rounds": [_row(number, one) for number, one in enumerate(duel.rounds, start=1)],
        "player_score": round(player, 1),
        "model_score": round(model, 1),
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


def duel_csv(duel: Duel) -> str:
    """One row per answered round, with `spreadsheet_safe` names of files."""
    file = io.StringIO()
    rows = [_row(number, one) for number, one in enumerate(duel.rounds, start=1)]
    if rows:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: spreadsheet_safe(cell) for name, cell in row.items()} for row in rows)
    return file.getvalue()


def _row(number: int, one: Round) -> dict[str, Any]:
    row: dict[str, Any] = {"round": number, "photo": one.challenge.name}
    row |= _position("true", one.challenge.truth)
    for who, answer in (("player", one.player), ("model", one.model)):
        row |= _position(who, answer.position)
        row |= {f"{who}_distance_km": round(answer.distance_km, 3), f"{who}_score": round(answer.score, 1)}
    return row


def _position(who: str, position: Position) -> dict[str, float]:
    return {f"{who}_lat_deg": round(position[0], 5), f"{who}_lon_deg": round(position[1], 5)}
