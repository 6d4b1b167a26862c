"""Growth of the process's peak memory over 200 predictions in a row."""

from __future__ import annotations

import resource

from benchmarks.images import jpeg
from triovision.inference import load_model
from triovision.photo import read_photo

PREDICTIONS, WARM_UP = 200, 20
LIMIT_MB = 50


def peak_mb() -> float:
    """Return the peak resident memory of this process so far; Linux reports it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    """Print the peak after the warm-up and after all predictions."""
    model = load_model(device="cpu")
    photos = [jpeg(1600, 1200, seed) for seed in range(5)]

    def predict(times: int) -> None:
        for i in range(times):
            model.predict([read_photo(photos[i % len(photos)], "photo.jpg")], top_k=15)

    predict(WARM_UP)
    before = peak_mb()
    predict(PREDICTIONS)
    growth = peak_mb() - before
    verdict = "ok" if growth < LIMIT_MB else "MISSED"
    print(f"peak {before:.0f} MB after {WARM_UP} predictions; {PREDICTIONS} more let it grow by {growth:.1f} MB")
    print(f"growth = {growth:.1f} MB (target: below {LIMIT_MB}) {verdict}")


if __name__ == "__main__":
    main()
