"""Names of metrics and of what they are measured on in plain words, and values in the format of the language."""

from __future__ import annotations

from triovision.metrics.model_studies import CONTROL
from triovision.ui.translation import Translator

_COUNTS = (
    *("photos", "photos_known_country", "photos_with_position", "places", "sources", "unreadable"),
    *("landmarks_known", "landmarks_shared", "landmarks_named"),
)
_NUMBERS = ("country_set_size", "negative_log_likelihood_known", "r2_lat", "r2_lon")


def metric_name(name: str, t: Translator) -> str:
    """Name of a metric in plain words; a metric of another version keeps its own name."""
    return _names(t).get(name, name.replace("_", " "))


def metric_value(name: str, value: float | None, t: Translator, *, tenths: bool = False) -> str:
    """Value of a metric: a count, kilometres, points, or a fraction as per cent, with a decimal by `tenths`."""
    if value is None:
        return "-"
    if name.endswith("_km") and "within" not in name:
        return t.km(value)
    if name in _COUNTS or name == "geo_score":
        return t.number(value)
    if name in _NUMBERS or name not in _names(t) or not 0 <= value <= 1:
        return t.number(value, 0 if float(value).is_integer() else 2)
    return t.percent(value, tenths=tenths)


def split_name(name: str, t: Translator) -> str:
    """Translate the name of an evaluation split of a card, such as `new_places (calibrating run)`."""
    split, _, run = name.removesuffix(")").partition(" (")
    splits = {
        "new_places": t("new places"),
        "known_places": t("known places"),
        "held_out_countries": t("held-out countries"),
        "elsewhere": t("held-out countries"),  # its name in the embedded models
        "new_sources": t("new sources"),
    }
    runs = {
        "calibrating run": t("calibrating run"),
        "this model": t("this model"),
        "other folds' models": t("by models that saw no photo of the source"),
    }
    text = splits.get(split, split.replace("_", " "))
    return f"{text} ({runs.get(run, run)})" if run else text


def measured_name(name: str, t: Translator) -> str:
    """Translate what a study is measured on: a split, a method of prediction, or a control of a comparison."""
    names = {
        "train": t("training"),
        "val": t("mean over the splits"),
        "held-out folds": t("held-out folds"),
        CONTROL: t("without the network"),
        "true_city": t("photo and metadata of the true city"),
        "candidate_cities": t("photo and metadata of candidate cities"),
        "countries_alone": t("probable countries and their cities"),
        "metadata_alone": t("metadata of the true city, no photo"),
    }
    return names.get(name) or split_name(name, t)


def logged_metric_name(name: str, t: Translator) -> str:
    """Name of a metric that training logs or compares, such as `top1`."""
    return t("Loss") if name == "loss" else metric_name(_of_card(name), t)


def logged_metric_value(name: str, value: float | None, t: Translator) -> str:
    """Value of a metric that training logs or compares."""
    if name == "loss" and value is not None:
        return t.number(value, 3)
    return metric_value(_of_card(name), value, t, tenths=True)


def _of_card(name: str) -> str:
    return f"country_{name}" if name in {"top1", "top5", "macro_recall"} else name


def _names(t: Translator) -> dict[str, str]:
    return _country_names(t) | _place_names(t)


def _country_names(t: Translator) -> dict[str, str]:
    return {
        "photos": t("Photos"),
        "unreadable": t("Unreadable photos"),
        "places": t("Places"),
        "sources": t("Sources"),
        "photos_known_country": t("Photos of countries it knows"),
        "country_top1": t("Country right"),
        "country_top5": t("Country among the first five"),
        "country_macro_recall": t("Country right, every country counting the same"),
        "country_top1_known": t("Country right, of countries it knows"),
        "country_top5_known": t("Country among the first five, of countries it knows"),
        "country_macro_recall_known": t("Country right, every country that it knows counting the same"),
        "country_top1_by_source": t("Country right, every source counting the same"),
        "country_top1_low": t("Country right: lower end of the 95% interval"),
        "country_top1_high": t("Country right: upper end of the 95% interval"),
        "country_top5_by_source": t("Country among the first five, every source counting the same"),
        "country_top5_low": t("Country among the first five: lower end of the 95% interval"),
        "country_top5_high": t("Country among the first five: upper end of the 95% interval"),
        "expected_calibration_error": t("Mean distance of probability and accuracy"),
        "negative_log_likelihood_known": t("Surprise at the true country (nats; lower is better)"),
        "answered": t("Photos for which it does not say “not sure”"),
        "answered_accuracy": t("Country right among these"),
        "country_set_coverage_known": t("True country in the likely set"),
        "country_set_size": t("Countries in the likely set, on average"),
    }


def _place_names(t: Translator) -> dict[str, str]:
    within = {km: t("Within {distance} km", distance=t.number(km)) for km in (1, 25, 200, 750, 2500)}
    return {f"within_{km}_km": text for km, text in within.items()} | {
        "photos_with_position": t("Photos with a known position"),
        "median_km": t("Distance of the best place: half of the photos are nearer"),
        "mean_km": t("Distance of the best place on average"),
        "r2_lat": t("R² of the latitude"),
        "r2_lon": t("R² of the longitude"),
        "geo_score": t("GeoScore (of 5,000 points)"),
        "radius_holds": t("True place within the radius for half of the probability"),
        "radius_90_holds": t("True place within the radius for 90% of the probability"),
        "landmarks_known": t("Photos of landmarks that it could know"),
        "landmarks_known_within_1_km": t("Of these: best match within 1 km"),
        "landmarks_known_named": t("Of these: landmark named"),
        "landmarks_known_named_right": t("Of these named: right"),
        "landmarks_known_within_1_km_by_landmark": t("Best match within 1 km, as a mean over landmarks"),
        "landmarks_shared": t("Photos of landmarks that several sources show as one place"),
        "landmarks_shared_within_1_km": t("Of these: best match within 1 km"),
        "landmarks_shared_named": t("Of these: landmark named"),
        "landmarks_shared_named_right": t("Of these named: right"),
        "landmarks_named": t("Photos for which it names a landmark"),
        "landmarks_named_right": t("Of these: right, where the position is known"),
    }
