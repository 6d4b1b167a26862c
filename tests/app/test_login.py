"""Pages behind a login: what a visitor sees before it, after it, and where it is set up only in part."""

import logging

import pytest
from streamlit.runtime.secrets import secrets_singleton
from streamlit.testing.v1.util import patch_config_options

from triovision.ui import login

PAGES = ("", "collection", "compare", "verify", "play", "models", "about")
PROVIDER = 'client_id = "triovision"\nclient_secret = "s"\nserver_metadata_url = "http://127.0.0.1:9/metadata"\n'
SHARED = '[auth]\nredirect_uri = "http://localhost:8501/oauth2callback"\ncookie_secret = "0123456789abcdef"\n'
ANNA = {"is_logged_in": True, "email": "Anna@example.org"}


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """Writes the server's secrets.toml."""
    file = tmp_path / "secrets.toml"
    monkeypatch.setattr(login, "is_authlib_installed", lambda: True)
    monkeypatch.delenv(login.USERS, raising=False)
    secrets_singleton._reset()
    login._log_once.cache_clear()
    with patch_config_options({"secrets.files": [str(file)]}):
        yield lambda content: file.write_bytes(content if isinstance(content, bytes) else content.encode())
    secrets_singleton._reset()


def texts(page):
    return [element.value for kind in (page.title, page.markdown, page.error) for element in kind]


def is_open(page):
    assert not page.exception
    return "Where was this photo taken?" in texts(page)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_asks_for_the_login_first(app, secrets, monkeypatch, page):
    secrets(SHARED + PROVIDER)
    monkeypatch.setenv(login.USERS, "anna@example.org")
    app.run()
    if page:
        app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert [title.value for title in app.title] == ["Please log in"]
    assert [button.label for button in app.button] == ["Log in"]
    assert not app.get("file_uploader")


def test_a_listed_person_enters_and_may_log_out(app, secrets, monkeypatch):
    secrets(SHARED + PROVIDER)
    monkeypatch.setenv(login.USERS, "example.org")
    app.user = dict(ANNA)
    assert is_open(app.run())
    assert app.session_state["triovision"].admitted
    app.button(key="logout").click().run()
    assert not app.session_state["triovision"].admitted
    assert [title.value for title in app.title] == ["Please log in"]


@pytest.mark.parametrize(
    ("user", "users", "words"),
    [
        (ANNA, "bob@example.org", "has not listed this address"),
        (ANNA, "", "`TRIOVISION_USERS` is empty"),
        (ANNA | {"email_verified": False}, "example.org", "no verified e-mail address"),
        ({"is_logged_in": True, "name": "Anna"}, "example.org", "no verified e-mail address"),
    ],
)
def test_a_person_who_is_not_listed_is_told_so(app, secrets, monkeypatch, user, users, words):
    secrets(SHARED + PROVIDER)
    monkeypatch.setenv(login.USERS, users)
    app.user = dict(user)
    app.run()
    assert not app.exception
    assert app.title[0].value == "You may not use this page"
    assert words in " ".join(element.value for element in app.markdown)
    assert [button.label for button in app.button] == ["Log out"]


def test_an_asterisk_lets_everybody_in_who_can_log_in(app, secrets, monkeypatch):
    secrets(SHARED + PROVIDER)
    monkeypatch.setenv(login.USERS, "*")
    assert not is_open(app.run())
    app.user = {"is_logged_in": True, "name": "Anna"}
    assert is_open(app.run())


def test_each_provider_has_a_button(app, secrets):
    secrets(SHARED + f"[auth.one]\n{PROVIDER}[auth.two]\n{PROVIDER}")
    app.run()
    assert [button.label for button in app.button] == ["Log in with one", "Log in with two"]


@pytest.mark.parametrize(
    ("content", "users", "logged"),
    [
        ("", "anna@example.org", "no readable [auth] section"),  # a list, and no login
        (None, "anna@example.org", "no readable [auth] section"),
        ("[auth\n", "", "no readable [auth] section"),
        (b"\xff\xfe", "", "no readable [auth] section"),
        ('auth = "yes"\n', "", "no readable [auth] section"),
        (SHARED, "anna@example.org", "no readable [auth] section"),
        (SHARED + 'client_id = "x"\n', "anna@example.org", "client_secret"),
        ("[auth]\n" + PROVIDER, "anna@example.org", "redirect_uri"),
    ],
)
def test_a_login_that_is_set_up_in_part_opens_nothing(app, secrets, monkeypatch, caplog, content, users, logged):
    if content is not None:
        secrets(content)
    monkeypatch.setenv(login.USERS, users)
    app.user = dict(ANNA)
    with caplog.at_level(logging.ERROR, logger=login.__name__):
        app.run()
        app.run()
    assert not app.exception
    assert app.title[0].value == "This page is closed"
    assert not app.button
    assert logged not in app.error[0].value
    assert [logged in record.getMessage() for record in caplog.records if record.name == login.__name__] == [True]


def test_without_authlib_nobody_enters(app, secrets, monkeypatch, caplog):
    secrets(SHARED + PROVIDER)
    monkeypatch.setattr(login, "is_authlib_installed", lambda: False)
    app.user = dict(ANNA)
    app.run()
    assert app.title[0].value == "This page is closed"
    assert "pip install 'streamlit[auth]'" in caplog.text


@pytest.mark.usefixtures("secrets")
def test_without_a_login_nothing_changes(app):
    assert is_open(app.run())
    assert app.session_state["triovision"].admitted
    assert "logout" not in {button.key for button in app.button}


def test_secrets_of_other_kinds_close_nothing(app, secrets):
    secrets('[other]\nkey = "value"\n')
    assert is_open(app.run())
