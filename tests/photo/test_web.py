"""Photos from links, fetched from a server on this machine that the tests allow."""

import socket
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from urllib.parse import unquote

import pytest

from triovision.connections import is_public
from triovision.errors import PhotoError
from triovision.photo.web import WebLimits, fetch_photo

PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20  # begins like a JPEG


class Answers(BaseHTTPRequestHandler):
    """Answers by path; `seen` records what was asked."""

    seen: list[tuple[str, dict[str, str]]]

    def do_GET(self):
        self.seen.append((self.path, dict(self.headers)))
        name = self.path.partition("?")[0].strip("/").split("/")[0].replace(".jpg", "")
        getattr(self, "send_" + name, self.send_missing)()

    def send_photo(self, content=PHOTO, length=None):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")  # the bytes decide, not this
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_page(self):
        self.send_photo(b"<!DOCTYPE html><title>x</title>" + b" " * 5000)

    def send_short(self):
        self.send_photo(PHOTO, length=len(PHOTO) + 10)

    def send_large(self):
        self.send_photo(PHOTO, length=10**12)

    def send_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(PHOTO)
        except OSError:
            return

    def send_drip(self):
        self.send_response(200)
        self.end_headers()
        self.drip(b"x")

    def send_slowheader(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        self.drip(b"y")

    def drip(self, byte):
        try:
            for _ in range(200):
                self.wfile.write(byte)
                time.sleep(0.05)
        except OSError:
            return

    def send_to(self):
        self.send_response(302)
        self.send_header("Location", unquote(self.path.partition("?")[2]))
        self.send_header("Set-Cookie", "a=b")
        self.end_headers()

    def send_missing(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(start_server):
    return start_server(type("Handler", (Answers,), {"seen": []}))


def limits(server, **changes):
    loopback = {"allowed": lambda address: str(address) == "127.0.0.1"}
    return WebLimits(ports=frozenset({server.server_port}), **(loopback | changes))


def fetch(server, path, **changes):
    return fetch_photo(f"http://127.0.0.1:{server.server_port}{path}", limits(server, **changes))


def refusal(server, path, **changes):
    with pytest.raises(PhotoError) as caught:
        fetch(server, path, **changes)
    return caught.value


@contextmanager
def dns(monkeypatch, *addresses):
    """Makes every name resolve to these addresses; gives the list of the names that were looked up."""
    asked, real = [], socket.getaddrinfo

    def look_up(host, port, *args, **options):
        if host.replace(".", "").replace(":", "").isdigit():
            return real(host, port, *args, **options)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        yield asked


def test_a_photo_is_fetched_with_its_name(server):
    assert fetch(server, "/photo.jpg?size=large") == ("photo.jpg", PHOTO)
    (path, headers), *others = server.RequestHandlerClass.seen
    assert path == "/photo.jpg?size=large"
    assert headers["Host"] == f"127.0.0.1:{server.server_port}"
    assert headers["User-Agent"].startswith("TrioVision/")
    assert not others


def test_the_name_in_the_address_is_decoded(server):
    assert fetch(server, "/photo/%C3%89t%C3%A9.jpg")[0] == "Été.jpg"


def test_a_proxy_of_the_environment_is_not_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert fetch(server, "/photo.jpg")[1] == PHOTO


def test_redirects_are_followed_without_cookies(server):
    assert fetch(server, "/to?/to?/to?/photo.jpg") == ("photo.jpg", PHOTO)
    assert all("Cookie" not in headers for _, headers in server.RequestHandlerClass.seen)
    assert "redirects more than 3 times" in refusal(server, "/to?/to?/to?/to?/photo.jpg").reason


@pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/photo.jpg", "http://[::1]:{port}/photo.jpg"])
def test_a_redirect_into_a_private_network_is_refused(server, target):
    error = refusal(server, "/to?" + target.format(port=server.server_port))
    assert "private network" in error.reason
    assert len(server.RequestHandlerClass.seen) == 1


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.org/a.jpg", "//user:word@example.org/a.jpg", "http://[::1"]
)
def test_a_redirect_to_another_kind_of_address_is_refused(server, target):
    assert refusal(server, f"/to?{target}").reason
    assert len(server.RequestHandlerClass.seen) == 1


def test_one_forbidden_address_among_those_of_a_name_refuses_it(server, monkeypatch):
    url = f"http://photos.example:{server.server_port}/photo.jpg"
    with dns(monkeypatch, "127.0.0.1", "127.0.0.2") as asked, pytest.raises(PhotoError, match="private network"):
        fetch_photo(url, limits(server))
    assert asked == ["photos.example"]
    assert not server.RequestHandlerClass.seen


def test_a_name_is_looked_up_once_and_the_server_hears_the_name(server, monkeypatch):
    with dns(monkeypatch, "127.0.0.1") as asked:
        assert fetch_photo(f"http://photos.example:{server.server_port}/photo.jpg", limits(server))[1] == PHOTO
    assert asked == ["photos.example"]
    (_, headers) = server.RequestHandlerClass.seen[0]
    assert headers["Host"] == f"photos.example:{server.server_port}"


@pytest.mark.parametrize("path", ["/large", "/endless"])
def test_a_file_that_is_too_large_is_refused(server, path):
    assert "more than the 0.1 MB allowed" in refusal(server, path, max_bytes=100_000).reason


@pytest.mark.parametrize("path", ["/drip", "/slowheader"])
def test_a_slow_answer_ends_at_the_deadline(server, path):
    assert refusal(server, path, total_s=0.4).reason == "the server took too long"


def test_a_server_that_stays_silent_is_left():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        rules = WebLimits(ports=frozenset({port}), allowed=lambda _: True, read_timeout_s=0.2)
        with pytest.raises(PhotoError, match="took too long"):
            fetch_photo(f"http://127.0.0.1:{port}/a.jpg", rules)
        with pytest.raises(PhotoError, match="took too long"):  # the same within a TLS handshake
            fetch_photo(f"https://127.0.0.1:{port}/a.jpg", rules)


def test_a_page_is_no_photo_whatever_it_is_called(server):
    error = refusal(server, "/page.jpg")
    assert error.reason == "it leads to a web page and not to a photo"
    assert "copy its address" in error.remedy


@pytest.mark.parametrize(
    ("path", "reason"), [("/nothing", "responded with 404 Not Found"), ("/short", "the connection broke off")]
)
def test_a_failed_answer_is_explained(server, path, reason):
    assert reason in refusal(server, path).reason


def test_a_server_without_tls_is_an_error_in_words(server):
    with pytest.raises(PhotoError, match="the connection failed"):
        fetch_photo(f"https://127.0.0.1:{server.server_port}/photo.jpg", limits(server))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "does not begin with"),
        ("photo.jpg", "does not begin with"),
        ("file:///etc/passwd", "does not begin with"),
        ("ftp://example.org/a.jpg", "does not begin with"),
        ("http://user:word@example.org/a.jpg", "user name or a password"),
        ("http://example.org:22/a.jpg", "names port 22"),
        ("http://example.org/a\r\nHost: b", "no valid link"),
        ("http://example.org\\@localhost/", "no valid link"),
        ("http://[::1/", "no valid link"),
        ("http://example.org/" + "a" * 3000, "no valid link"),
        ("http://localhost/a.jpg", "private network"),
        ("http://127.1/a.jpg", "private network"),
        ("http://2130706433/a.jpg", "private network"),
        ("http://0x7f000001/a.jpg", "private network"),
        ("http://0/a.jpg", "private network"),
        ("http://169.254.169.254/latest/meta-data", "private network"),
        ("http://[::ffff:127.0.0.1]/a.jpg", "private network"),
    ],
)
def test_a_link_that_leads_nowhere_public_is_refused_without_a_connection(url, reason, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(PhotoError) as caught:
        fetch_photo(url)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001:db8::1",
        "2002:808:808::1",
        "2001::1",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "185.15.59.240", "2001:4860:4860::8888", "2a02:ec80:300:ed1a::2:b"])
def test_public_addresses(address):
    assert is_public(ip_address(address))
