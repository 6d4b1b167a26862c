"""Client of the page without a browser: Streamlit's WebSocket protocol, uploads and downloads of one session."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

WAIT_S = 600.0
_XSRF = "_streamlit_xsrf"


class Client:
    """One session, from the first run of the page to the closing of its tab.

    Args:
        url: Address of the server.
        query: Query string of the page's address.
    """

    def __init__(self, url: str, query: str = "") -> None:
        self._url, self._query = url, query
        self._http = requests.Session()
        self._http.get(f"{url}/_stcore/health", timeout=WAIT_S).raise_for_status()
        self._token = self._http.cookies.get(_XSRF) or "none"
        opening = connect(
            f"ws{url.removeprefix('http')}/_stcore/stream",
            subprotocols=["streamlit", self._token],  # type: ignore[list-item] - the second one is a token
            additional_headers={"Cookie": f"{_XSRF}={self._token}", "Accept-Language": "en-GB"},
            origin=url,  # type: ignore[arg-type] - a str with another name
            max_size=None,
            open_timeout=WAIT_S,
        )
        self._open = ExitStack()
        self._socket = self._open.enter_context(opening)
        self.received = bytearray()
        self.session_id = ""
        self._uploader = ""
        self._buttons: dict[str, str] = {}

    def open(self) -> None:
        """Run the page for the first time."""
        self._rerun(ClientState())
        self.finish()

    def upload(self, files: dict[str, bytes]) -> None:
        """Drop files into the drop zone; `elements` yields what the page answers."""
        request = BackMsg()
        request.file_urls_request.request_id = secrets.token_hex(8)
        request.file_urls_request.file_names.extend(files)
        request.file_urls_request.session_id = self.session_id
        self._socket.send(request.SerializeToString())
        state = ClientState()
        widget = state.widget_states.widgets.add()
        widget.id = self._uploader
        urls = next(m for m in self._messages() if m.WhichOneof("type") == "file_urls_response").file_urls_response
        for (name, data), place in zip(files.items(), urls.file_urls, strict=True):
            self.send(place.upload_url, name, data).raise_for_status()
            info = widget.file_uploader_state_value.uploaded_file_info.add()
            info.file_id, info.name, info.size = place.file_id, name, len(data)
            info.file_urls.CopyFrom(place)
        self._rerun(state)

    def send(self, url: str, name: str, data: bytes) -> requests.Response:
        """Send a file to an address of this server, as the drop zone does."""
        files, headers = {name: (name, data)}, {"X-Xsrftoken": self._token}
        return self._http.put(self._url + url, files=files, headers=headers, timeout=WAIT_S)

    def press(self, label: str) -> None:
        """Press a button that the page has shown; `elements` and `finish` yield what the page answers."""
        state = ClientState()
        widget = state.widget_states.widgets.add()
        widget.id, widget.trigger_value = self._buttons[label], True
        self._rerun(state)

    def elements(self) -> Iterator[Element]:
        """Elements of the page as they come, without end."""
        for message in self._messages():
            if (element := self._element(message)) is not None:
                yield element

    def finish(self) -> list[Element]:
        """Elements that come until the script of the page has run to its end, also after it has started itself anew."""
        elements = []
        for message in self._messages():
            if (element := self._element(message)) is not None:
                elements.append(element)
            ended = message.WhichOneof("type") == "script_finished"
            if ended and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                break
        return elements

    def download(self, url: str) -> bytes:
        """Fetch what a download button offers."""
        answer = self._http.get(self._url + url, timeout=WAIT_S)
        answer.raise_for_status()
        return answer.content

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the tab."""
        self._open.close()
        self._http.close()

    def _rerun(self, state: ClientState) -> None:
        state.query_string = self._query
        state.context_info.locale = "en-GB"
        state.context_info.url = f"{self._url}/?{self._query}"
        message = BackMsg()
        message.rerun_script.CopyFrom(state)
        self._socket.send(message.SerializeToString())

    def _element(self, message: ForwardMsg) -> Element | None:
        """Element that a message brings; what a later message of ours needs is kept."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session_id = message.new_session.initialize.session_id
        if kind != "delta" or message.delta.WhichOneof("type") != "new_element":
            return None
        element = message.delta.new_element
        match element.WhichOneof("type"):
            case "file_uploader":
                self._uploader = element.file_uploader.id
            case "button":
                self._buttons[element.button.label] = element.button.id
        return element

    def _messages(self) -> Iterator[ForwardMsg]:
        while True:
            data = self._socket.recv(timeout=WAIT_S)
            assert isinstance(data, bytes)
            self.received += data
            message = ForwardMsg()
            message.ParseFromString(data)
            yield message
