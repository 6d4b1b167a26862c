"""Cost of the position regressor, as a ratio to the country classifier on the same photo.

The country answer is that of the same network and weights with the countries' cities as places. Wanted: at most 60 %
more for candidates, regressor and posterior together. Photos are decoded beforehand, which would hide what is added.
"""

from __future__ import annotations

import platform

import torch

from benchmarks.images import jpeg
from benchmarks.timing import in_turn
from triovision.inference import CountryEngine
from triovision.inference.registry import found_models
from triovision.inference.resnetgps import ResNetGpsEngine
from triovision.photo import read_photo

MODEL = "resnetgps_v1.places10k"
ROUNDS = 40
LIMIT = 0.6


def main() -> None:
    """Print the medians and what is added."""
    folder, device = found_models()[MODEL], torch.device("cpu")
    countries, positions = CountryEngine(folder, device), ResNetGpsEngine(folder, device)
    # Both in one number format, whatever each found out for itself when it was loaded.
    countries.precision = positions.precision
    photo = read_photo(jpeg(1600, 1200), "photo.jpg")
    times = in_turn(
        {
            "one pass": lambda: countries.logits([photo]),
            "country answer": lambda: countries.predict([photo]),
            "position answer": lambda: positions.predict([photo]),
        },
        ROUNDS,
    )
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {MODEL}")
    for name, ms in times.items():
        print(f"{name:18} {ms:7.1f} ms   {ms / times['one pass']:5.2f} x one pass")
    added = times["position answer"] / times["country answer"] - 1
    verdict = "ok" if added <= LIMIT else "MISSED"
    print(f"added to the country answer: {added:.0%} (target: at most {LIMIT:.0%}) {verdict}")


if __name__ == "__main__":
    main()
