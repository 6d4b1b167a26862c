import pytest

from tests.explain.tiny_models import TinyModel, convolutional_network, noise_photo
from triovision.errors import ExplanationError
from triovision.explain import METHODS, ExplanationSettings, explain_country, method_named, methods_for

PIXELS = ("Occlusion", "LIME", "KernelSHAP", "GradientSHAP", "Integrated gradients")


def test_the_methods_that_fit_a_model_begin_with_its_default():
    assert methods_for(TinyModel(None)) == ("Grad-CAM", "LayerCAM", "Grad-CAM++", "Score-CAM", *PIXELS)
    assert methods_for(TinyModel(None, target_layer=None)) == PIXELS


def test_a_method_is_found_by_its_name():
    for method in METHODS:
        assert method_named(method.name) is method
        assert method.signed == (method.name in PIXELS)
    with pytest.raises(ExplanationError, match=r"Guess-CAM: is no method\. Choose one of Grad-CAM.*KernelSHAP"):
        method_named("Guess-CAM")


def test_a_model_without_a_grid_refuses_class_activation_maps_with_the_choice():
    model = TinyModel(convolutional_network(), target_layer=None)
    with pytest.raises(
        ExplanationError, match=r"LayerCAM: is no method for tiny\.test\. Choose one of Occlusion, LIME"
    ):
        explain_country(model, noise_photo(), "FR", "LayerCAM")
    explanation = explain_country(model, noise_photo(), "FR")
    assert (explanation.method, explanation.layer, explanation.signed) == ("Occlusion", "input", True)


@pytest.mark.parametrize("code", ["DE", "", "fr"])
def test_a_contrast_with_a_country_without_a_label_is_refused_with_the_choice(code):
    with pytest.raises(ExplanationError, match=rf"{code}: is no label of tiny\.test\. Choose one of FR, IT, NA"):
        explain_country(TinyModel(convolutional_network()), noise_photo(), "FR", against=code)


def test_a_country_against_itself_is_refused():
    with pytest.raises(ExplanationError, match=r"FR: is compared with itself\. Choose two different countries"):
        explain_country(TinyModel(convolutional_network()), noise_photo(), "FR", "LIME", against="FR")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": 0.0}, r"Setting window: is 0\.0\. Choose a value between 0\.02 and 1"),
        ({"window": float("nan")}, r"Setting window: is nan\."),
        ({"window": 1.1}, r"Setting window: is 1\.1\."),
        ({"stride": 0.3}, r"Setting stride: is 0\.3, more than the window of 0\.2\."),
        ({"segments": 1}, r"Setting segments: is 1\."),
        ({"samples": 51}, r"Setting samples: is 51, too few for 50 superpixels\. Choose at least 52"),
        ({"steps": 0}, r"Setting steps: is 0\."),
        ({"seed": -1}, r"Setting seed: is -1\."),
    ],
)
def test_settings_that_no_method_can_work_with_are_refused(values, message):
    with pytest.raises(ExplanationError, match=message):
        ExplanationSettings(**values)
