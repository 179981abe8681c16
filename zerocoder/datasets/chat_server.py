"""A client of OpenAI-compatible servers: a chat in, several answers out, with retries and one line for what is wrong.

Of the API it needs `POST /chat/completions`; `GET /models`, where the server has it, finds the model's name and makes
mistakes plain. A server that ignores `n` is asked again until it has given as many answers.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zerocoder.binding import nearest
from zerocoder.config.references import ReferencesConfig
from zerocoder.problems import ZeroCoderError

TRIES = 7
"""Of a request that fails for a reason that may pass: the server is busy, or the connection breaks."""
_MAY_PASS = frozenset({408, 409, 425, 429})
_MAX_PAUSE = 60.0
_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `truncated` at the token limit."""

    text: str
    truncated: bool


class RefusedError(Exception):
    """The server does not take one request, whatever it thinks of others: a prompt that is too long, for example."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect is an error: following it would hand the key to another address."""


class ChatServer:
    """A model behind an API. `answers` may be called from several threads.

    Raises ZeroCoderError when the server cannot be reached, refuses the key, or leaves open which model is meant.
    """

    def __init__(self, config: ReferencesConfig) -> None:
        self._url = (config.server or "").rstrip("/").removesuffix("/chat/completions")
        self._config = config
        self._key = os.environ.get(config.server_key, "")
        self._opener = urllib.request.build_opener(_NoRedirect())
        self._closed = threading.Event()
        self._answered = False
        self._listed = self._models()
        self.model = config.server_model or self._only_model()

    def answers(self, chat: Sequence[Mapping[str, str]], count: int) -> list[Reply]:
        """`count` answers to a chat.

        Raises:
            RefusedError: the server takes other requests, but not this one.
            ZeroCoderError: it takes none, or cannot be reached any more.
        """
        replies: list[Reply] = []
        while len(replies) < count:
            body = {
                "model": self.model,
                "messages": list(chat),
                "n": count - len(replies),
                "temperature": self._config.temperature,
                "top_p": self._config.top_p,
                "max_tokens": self._config.max_tokens,
                **self._config.server_options,
            }
            answer = self._posted({key: value for key, value in body.items() if value is not None})
            replies += _choices(answer, self._url)
            self._answered = True
        return replies[:count]

    def close(self) -> None:
        """No further tries."""
        self._closed.set()

    def _models(self) -> list[str] | None:
        """The names that the server lists; None where it lists none."""
        try:
            answer = self._sent("models", None)
            return [str(model["id"]) for model in answer["data"]]
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise self._refused_key(error) from error
            if error.code < 400:
                raise self._redirected(error) from error
            return None  # some have no such list
        except (KeyError, TypeError, ValueError) as error:
            raise ZeroCoderError(
                f"server={self._url} is no OpenAI-compatible API: {self._url}/models gives no list of models; the "
                "address usually ends in /v1"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise ZeroCoderError(
                f"server={self._url} cannot be reached ({_reason(error)}): is it running, and is the address right?"
            ) from error

    def _only_model(self) -> str:
        if self._listed is not None and len(self._listed) == 1:
            return self._listed[0]
        has = f"it has {_some(self._listed)}" if self._listed else f"server={self._url} does not list any"
        raise ZeroCoderError(f"name the model by server_model=<name>: {has}")

    def _posted(self, body: Mapping[str, Any]) -> Any:
        """The answer to a request, tried several times."""
        pause = self._config.retry_seconds
        for attempt in range(1, TRIES + 1):
            try:
                return self._sent("chat/completions", body)
            except urllib.error.HTTPError as error:
                if error.code not in _MAY_PASS and error.code < 500:
                    raise self._refusal(error) from error
                reason = f"{error.code} {_message(error)}"
                asked = error.headers.get("Retry-After", "")
                pause = max(pause, float(asked)) if asked.isdecimal() else pause
            except ValueError as error:
                raise ZeroCoderError(f"server={self._url} answers what is no JSON: {error}") from error
            except (OSError, http.client.HTTPException) as error:
                reason = _reason(error)
            if attempt == TRIES or self._closed.wait(min(pause, _MAX_PAUSE)):
                break
            pause *= 2
        raise ZeroCoderError(
            f"server={self._url} failed {attempt} times in a row ({reason}); what was answered is saved, the same "
            "command goes on from there"
        )

    def _sent(self, path: str, body: Mapping[str, Any] | None) -> Any:
        """One request. Raises what urllib raises, and ValueError for what is no JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "zerocoder"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(f"{self._url}/{path}", data, headers)
        with self._opener.open(request, timeout=self._config.timeout_seconds) as response:
            return json.loads(response.read(_MAX_BYTES))

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        """What a request that cannot pass says: about itself, or about all of them."""
        if error.code in (401, 403):
            return self._refused_key(error)
        if error.code < 400:
            return self._redirected(error)
        message = _message(error)
        if self._answered:
            return RefusedError(f"{error.code} {message}")
        if error.code == 404:
            known = f"its models are {_some(self._listed)}{nearest(self.model, self._listed)}" if self._listed else ""
            hint = known or "the address usually ends in /v1"
            return ZeroCoderError(f"server={self._url} has no model {self.model} at this address ({message}): {hint}")
        return ZeroCoderError(
            f"server={self._url} refuses the request ({error.code} {message}); server_options={{field: null}} takes a "
            "field away that it does not know"
        )

    def _refused_key(self, error: urllib.error.HTTPError) -> ZeroCoderError:
        name = self._config.server_key
        if self._key:
            return ZeroCoderError(f"server={self._url} refuses the key in ${name} ({error.code} {_message(error)})")
        return ZeroCoderError(
            f"server={self._url} wants a key ({error.code}): put it into the environment variable {name}, or name "
            "another one by server_key=<NAME>"
        )

    def _redirected(self, error: urllib.error.HTTPError) -> ZeroCoderError:
        place = error.headers.get("Location", "another address")
        return ZeroCoderError(f"server={self._url} sends requests on to {place}: set server= to where the API is")


def _choices(answer: Any, url: str) -> list[Reply]:
    """The answers of a chat completion."""
    try:
        replies = [
            Reply(choice["message"].get("content") or "", choice.get("finish_reason") == "length")
            for choice in answer["choices"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ZeroCoderError(f"server={url} answers what is no chat completion: {json.dumps(answer)[:160]}") from error
    if not replies or not all(isinstance(reply.text, str) for reply in replies):
        raise ZeroCoderError(f"server={url} answers without any text: {json.dumps(answer)[:160]}")
    return replies


def _message(error: urllib.error.HTTPError) -> str:
    """What the server says of an error, shortened to a line."""
    text = error.read(10_000).decode("utf-8", "replace")
    try:
        value = json.loads(text)
        value = value.get("error", value.get("detail", value)) if isinstance(value, dict) else value
        text = value.get("message", text) if isinstance(value, dict) else str(value)
    except ValueError:
        pass
    line = " ".join(str(text).split())
    return (line if len(line) <= 200 else f"{line[:197]}...") or str(error.reason)


def _reason(error: BaseException) -> str:
    cause = getattr(error, "reason", None)
    while isinstance(cause, BaseException):
        error, cause = cause, getattr(cause, "reason", None)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def _some(names: Sequence[str] | None) -> str:
    shown = list(names or ())[:8]
    return ", ".join([*shown, "..."] if len(names or ()) > len(shown) else shown)
