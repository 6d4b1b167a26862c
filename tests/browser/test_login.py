"""Login in a browser, with a provider of OpenID Connect on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from benchmarks.streamlit_client import Client

from .conftest import ROOT

pytestmark = pytest.mark.browser
pytest.importorskip("authlib", reason="a login needs it: pip install 'streamlit[auth]'")
joserfc = pytest.importorskip("joserfc.jwt")
jwk = pytest.importorskip("joserfc.jwk")

CLIENT, SECRET = "triovision", "a secret of the client"


class Provider(BaseHTTPRequestHandler):
    """Provider whose login is a choice between two persons; checks the client, the code and PKCE."""

    key: Any
    url: str
    codes: dict[str, dict[str, str]]
    ended: list[dict[str, list[str]]]

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/metadata":
            names = {"authorization": "authorize", "token": "token", "end_session": "end"}
            ends = {f"{name}_endpoint": f"{self.url}/{page}" for name, page in names.items()}
            methods = {"code_challenge_methods_supported": ["S256"], "id_token_signing_alg_values_supported": ["RS256"]}
            self.json({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **ends, **methods})
        elif path == "/keys":
            self.json({"keys": [self.key.as_dict(private=False)]})
        elif path == "/authorize":
            rest = urlsplit(self.path).query
            links = "".join(f'<a href="/approve?who={who}&{rest}">{who}</a> ' for who in ("anna", "bob"))
            self.answer(200, f"<h1>Who are you?</h1>{links}".encode(), "text/html")
        elif path == "/approve":
            asked = {name: values[0] for name, values in query.items()}
            code = hashlib.sha256(self.path.encode()).hexdigest()
            self.codes[code] = asked
            self.redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")
        elif path == "/end":
            self.ended.append(query)
            self.redirect(query["post_logout_redirect_uri"][0])
        else:
            self.answer(404, b"", "text/plain")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        asked = self.codes.pop(form["code"][0])
        client = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        verifier = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if self.headers["Authorization"] != client or asked["code_challenge"] != challenge:
            self.answer(400, b'{"error": "invalid_grant"}', "application/json")
            return
        claims = {"iss": self.url, "aud": CLIENT, "sub": asked["who"], "nonce": asked["nonce"]}
        claims |= {"iat": int(time.time()), "exp": int(time.time()) + 600}
        claims |= {"email": f"{asked['who']}@example.org", "email_verified": True}
        token = joserfc.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
        self.json({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def json(self, content: object) -> None:
        self.answer(200, json.dumps(content).encode(), "application/json")

    def redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.end_headers()

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider(start_server: Callable[..., Any]) -> type[Provider]:
    key = jwk.RSAKey.generate_key(2048, parameters={"kid": "1", "use": "sig"})
    handler = type("Handler", (Provider,), {"key": key, "codes": {}, "ended": []})
    handler.url = f"http://127.0.0.1:{start_server(handler).server_port}"
    return handler


@pytest.fixture
def url(provider: type[Provider], serve: Callable[..., str], tmp_path: Path) -> str:
    secrets = {
        "redirect_uri": "http://127.0.0.1:{port}/oauth2callback",
        "cookie_secret": "of this test alone, and long enough",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "server_metadata_url": f"{provider.url}/metadata",
    }
    file = tmp_path / "secrets.toml"
    file.write_text("\n".join(["[auth]", *(f'{name} = "{value}"' for name, value in secrets.items())]))
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    users = {"TRIOVISION_USERS": "anna@example.org", "TRIOVISION_ADMIN": "0"}
    return serve(ROOT / "app.py", provider.url, PYTHONPATH=path, STREAMLIT_SECRETS_FILES=str(file), **users)


def log_in(page: Page, who: str) -> None:
    expect(page.get_by_role("heading", name="Please log in")).to_be_visible()
    expect(page.locator("input[type=file]")).to_have_count(0)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=who).click()


def test_a_visitor_may_upload_after_the_login_and_not_before_it(
    url: str, china: bytes, open_page: Callable[..., Page], settle: Callable[[Page], None]
) -> None:
    with Client(url) as stranger:
        stranger.open()
        assert stranger.session_id
        answer = stranger.send(f"/_stcore/upload_file/{stranger.session_id}/file", "china.jpg", china)
        assert answer.status_code == 403
    page = open_page(url)
    log_in(page, "anna")
    settle(page)
    file = {"name": "china.jpg", "mimeType": "image/jpeg", "buffer": china}
    page.locator("input[type=file]").first.set_input_files([file])
    expect(page.get_by_role("heading", level=2).first).to_be_visible()
    assert not page.blocked


def test_who_is_listed_enters_and_who_is_not_is_told_so(
    url: str, provider: type[Provider], open_page: Callable[..., Page], settle: Callable[[Page], None]
) -> None:
    page = open_page(f"{url}/about")  # the first visit of this server, to a page of its own
    settle(page)
    expect(page.get_by_role("heading", name="About TrioVision")).to_have_count(0)
    expect(page.get_by_role("link", name="Models")).to_have_count(0)  # no menu
    log_in(page, "anna")
    expect(page.get_by_role("heading", name="Where was this photo taken?")).to_be_visible()
    expect(page.get_by_role("link", name="Models")).not_to_have_count(0)
    settle(page)
    page.get_by_role("button", name="Log out").click()
    log_in(page, "bob")
    expect(page.get_by_role("heading", name="You may not use this page")).to_be_visible()
    expect(page.get_by_text("You are logged in as bob")).to_be_visible()
    page.goto(f"{url}/models")
    expect(page.get_by_role("heading", name="You may not use this page")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Please log in")).to_be_visible()
    assert [end["post_logout_redirect_uri"] for end in provider.ended] == [[f"{url}/oauth2callback"]] * 2
    assert not page.blocked
