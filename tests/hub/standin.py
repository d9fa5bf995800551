"""A stand-in of the Hugging Face Hub: the part of its HTTP API that uploads, tags and downloads go through.

It follows what `huggingface_hub` sends and reads: whoami, creation of repositories, preupload, the LFS batch API with
pre-signed uploads in one or several parts, commits as NDJSON, tags, trees, and `resolve`. With `xet` set to a folder,
files go to Xet's own local store in that folder instead, through the real `hf_xet` client.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_standInTokenOfTests0123456789"
READ_ONLY = "hf_standInReadOnly0123456789abc"
LFS_SUFFIXES = (".parquet", ".safetensors", ".jsonl")
PART = 1 << 20
PAGE = 20


@dataclass
class StoredFile:
    """A file of a commit. `sha256` is set where the content is in the large file store."""

    oid: str
    size: int
    sha256: str | None = None

    def describe(self, path: str) -> dict[str, Any]:
        described: dict[str, Any] = {"type": "file", "path": path, "oid": self.oid, "size": self.size}
        if self.sha256 is not None:
            described["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": 134}
        return described


@dataclass
class Repository:
    private: bool
    commits: list[tuple[str, str, dict[str, StoredFile]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return self.commits[-1][0]

    def find(self, revision: str) -> tuple[str, dict[str, StoredFile]] | None:
        wanted = self.tags.get(revision, self.head if revision in ("main", "HEAD") else revision)
        return next(((oid, tree) for oid, _, tree in self.commits if oid == wanted), None)

    def commit(self, message: str, tree: dict[str, StoredFile]) -> str:
        listing = json.dumps([file.describe(path) for path, file in sorted(tree.items())])
        oid = hashlib.sha1(f"{len(self.commits)}{message}{listing}".encode()).hexdigest()
        self.commits.append((oid, message, tree))
        return oid


Fault = Callable[[str, str], int | str | None]
"""Takes method and path; returns a status to answer with, "cut" to cut an upload half way, or None."""


class StandInHub:
    """A running stand-in.

    Attributes:
        repositories: By type and name, as ("dataset", "org/name").
        large: Content of the large file store, by SHA-256.
        uploaded: Bytes of file content that arrived, cut uploads and files inside commits among them.
        requests: Method and path of each request.
        fault: What goes wrong, if anything does.
    """

    def __init__(self, xet: Path | None = None) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.small: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.uploaded = 0
        self.requests: list[tuple[str, str]] = []
        self.fault: Fault = lambda method, path: None
        self.multipart_from = 1 << 40
        self.ignored: tuple[str, ...] = ()
        self.xet = xet
        self.lock = threading.Lock()
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def repository(self, name: str, kind: str = "dataset") -> Repository:
        return self.repositories[kind, name]

    def files(self, name: str, kind: str = "dataset", revision: str = "main") -> dict[str, bytes]:
        found = self.repository(name, kind).find(revision)
        assert found is not None
        return {path: self.read(file) for path, file in found[1].items()}

    def read(self, file: StoredFile) -> bytes:
        return self.small[file.oid] if file.sha256 is None else self.large[file.sha256]

    def store_small(self, content: bytes) -> StoredFile:
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        self.small[oid] = content
        return StoredFile(oid, len(content))

    def add_file(self, name: str, path: str, content: bytes, kind: str = "dataset") -> None:
        """Commit a file as somebody else would, on the hub's own pages."""
        repository = self.repository(name, kind)
        repository.commit(f"Update {path}", {**repository.commits[-1][2], path: self.store_small(content)})


class _Handler(BaseHTTPRequestHandler):
    hub: StandInHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        self.query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.hub.requests.append((self.command, path))
        fault = self.hub.fault(self.command, path)
        if fault == "cut":
            self._cut()
            return
        if isinstance(fault, int):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._send(fault, {"error": f"fault {fault}"}, {"X-Error-Message": f"fault {fault}"})
            return
        for method, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method in (self.command, "GET" if self.command == "HEAD" else None):
                if not pattern.startswith("/lfs/") and not self._is_allowed(path):
                    return
                answer(self, **match.groupdict())
                return
        self._send(404, {"error": f"no such page: {self.command} {path}"})

    def _is_allowed(self, path: str) -> bool:
        """Check the token, as the hub does: bad ones everywhere, none and weak ones where something is written."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in (TOKEN, READ_ONLY):
            self._drain()
            message = "Invalid credentials in Authorization header"
            self._send(401, {"error": message}, {"X-Error-Message": message})
            return False
        if not token and (self.command == "POST" or path == "/api/whoami-v2"):
            self._drain()
            self._send(401, {"error": "Unauthorized"})
            return False
        if token == READ_ONLY and self.command == "POST" and path != "/api/validate-yaml":
            self._drain()
            self._send(403, {"error": "Forbidden"}, {"X-Error-Message": "you need the role write"})
            return False
        return True

    def _drain(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _cut(self) -> None:
        self.hub.uploaded += len(self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2))
        self.close_connection = True
        self.connection.close()

    def _json(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def _send(self, status: int, content: Any = None, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _find(self, kind: str, name: str) -> Repository | None:
        repository = self.hub.repositories.get((kind, name))
        is_open = repository is not None and (not repository.private or "Authorization" in self.headers)
        if repository is None or not is_open:
            self._drain()
            self._send(404 if "Authorization" in self.headers else 401, {}, {"X-Error-Code": "RepoNotFound"})
            return None
        return repository

    def whoami(self) -> None:
        self._send(200, {"type": "user", "name": "tester", "orgs": [{"name": "org"}], "auth": {}})

    def create(self) -> None:
        given = self._json()
        name = f"{given['organization'] or 'tester'}/{given['name']}"
        kind = given.get("type", "model")
        if (kind, name) in self.hub.repositories:
            self._send(409, {"error": "You already created this repo"})
            return
        repository = Repository(given.get("visibility") == "private" or bool(given.get("private")))
        repository.commit(
            "initial commit", {".gitattributes": self.hub.store_small(b"*.parquet filter=lfs\n")}
        )
        self.hub.repositories[kind, name] = repository
        self._send(200, {"url": f"{self.hub.url}/{'datasets/' * (kind == 'dataset')}{name}", "id": name})

    def info(self, kind: str, name: str, revision: str = "main") -> None:
        if (repository := self._find(kind, name)) is None:
            return
        found = repository.find(revision)
        if found is None:
            self._send(404, {}, {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [{"rfilename": path} for path in found[1]]
        described = {"id": name, "sha": found[0], "private": repository.private, "siblings": siblings}
        self._send(200, described | {"tags": [], "downloads": 0, "likes": 0, "gated": False})

    def refs(self, kind: str, name: str) -> None:
        if (repository := self._find(kind, name)) is not None:
            tags = [
                {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid}
                for tag, oid in repository.tags.items()
            ]
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.head}
            self._send(200, {"branches": [main], "tags": tags, "converts": []})

    def tag(self, kind: str, name: str, revision: str) -> None:
        given = self._json()
        if (repository := self._find(kind, name)) is None:
            return
        found = repository.find(revision)
        if given["tag"] in repository.tags or found is None:
            self._send(409 if found else 404, {"error": "tag exists already"})
            return
        repository.tags[given["tag"]] = found[0]
        self._send(200, {})

    def tree(self, kind: str, name: str, revision: str, under: str | None = None) -> None:
        if (repository := self._find(kind, name)) is None:
            return
        found = repository.find(revision)
        if found is None:
            self._send(404, {}, {"X-Error-Code": "RevisionNotFound"})
            return
        prefix = f"{under}/" if under else ""
        entries: dict[str, dict[str, Any]] = {}
        for path, file in sorted(found[1].items()):
            if not path.startswith(prefix):
                continue
            inner = path.removeprefix(prefix).split("/")
            for depth in range(1, len(inner)):
                folder = prefix + "/".join(inner[:depth])
                if self.query.get("recursive", "").lower() == "true" or depth == 1:
                    entries[folder] = {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
            if self.query.get("recursive", "").lower() == "true" or len(inner) == 1:
                entries[path] = file.describe(path)
        if prefix and not entries:
            self._send(404, {}, {"X-Error-Code": "EntryNotFound"})
            return
        start = int(self.query.get("cursor", 0))
        page = list(entries.values())[start : start + PAGE]
        headers = {}
        if start + PAGE < len(entries):
            others = "".join(f"&{key}={value}" for key, value in self.query.items() if key != "cursor")
            address = f"{self.hub.url}{urlsplit(self.path).path}?cursor={start + PAGE}{others}"
            headers["Link"] = f'<{address}>; rel="next"'
        self._send(200, page, headers)

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        wanted = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body)["paths"]
        if (repository := self._find(kind, name)) is None:
            return
        found = repository.find(revision)
        tree = found[1] if found else {}
        answers = []
        for path in wanted:
            if path in tree:
                answers.append(tree[path].describe(path))
            elif any(file.startswith(f"{path}/") for file in tree):
                answers.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        self._send(200, answers)

    def preupload(self, kind: str, name: str, revision: str) -> None:
        given = self._json()
        if (repository := self._find(kind, name)) is None:
            return
        tree = repository.commits[-1][2]
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                "shouldIgnore": file["path"].endswith(self.hub.ignored) if self.hub.ignored else False,
                "oid": (tree[file["path"]].sha256 or tree[file["path"]].oid)
                if file["path"] in tree
                else None,
            }
            for file in given["files"]
        ]
        self._send(200, {"files": files})

    def validate_yaml(self) -> None:
        self._json()
        self._send(200, {"errors": [], "warnings": []})

    def batch(self, name: str, prefix: str | None = None) -> None:
        objects = []
        for wanted in self._json()["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            answer: dict[str, Any] = {"oid": oid, "size": size}
            if oid not in self.hub.large:
                href = f"{self.hub.url}/lfs/{oid}?signature=abc"
                header: dict[str, str] = {}
                if size >= self.hub.multipart_from:
                    parts = range(1, -(-size // PART) + 1)
                    header = {str(number): f"{href}&part={number}" for number in parts}
                    header["chunk_size"] = str(PART)
                    href = f"{self.hub.url}/lfs/complete/{oid}"
                verify = {"href": f"{self.hub.url}/lfs/verify/{oid}"}
                answer["actions"] = {"upload": {"href": href, "header": header}, "verify": verify}
            objects.append(answer)
        self._send(200, {"transfer": "basic", "objects": objects})

    def put_large(self, oid: str) -> None:
        assert "Authorization" not in self.headers, "the token must not go to a pre-signed address"
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.hub.lock:
            self.hub.uploaded += len(content)
        if "part" in self.query:
            self.hub.parts[oid, int(self.query["part"])] = content
        else:
            assert hashlib.sha256(content).hexdigest() == oid
            self.hub.large[oid] = content
        self._send(200, {}, {"ETag": f'"{hashlib.md5(content).hexdigest()}"'})

    def complete_large(self, oid: str) -> None:
        numbers = [part["partNumber"] for part in self._json()["parts"]]
        content = b"".join(self.hub.parts.pop((oid, number)) for number in numbers)
        assert hashlib.sha256(content).hexdigest() == oid
        self.hub.large[oid] = content
        self._send(200, {})

    def verify_large(self, oid: str) -> None:
        self._json()
        self._send(200 if oid in self.hub.large else 404, {})

    def commit(self, kind: str, name: str, revision: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if (repository := self._find(kind, name)) is None:
            return
        lines = [json.loads(line) for line in body.splitlines()]
        tree = dict(repository.commits[-1][2])
        message = ""
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "header":
                message = value["summary"]
                if value.get("parentCommit", repository.head) != repository.head:
                    self._send(412, {"error": "A commit has happened since."})
                    return
            elif key == "file":
                content = base64.b64decode(value["content"])
                self.hub.uploaded += len(content)
                tree[value["path"]] = self.hub.store_small(content)
            elif key == "lfsFile":
                assert value["oid"] in self.hub.large or self.hub.xet is not None, "committed before uploaded"
                pointer = hashlib.sha1(value["oid"].encode()).hexdigest()
                tree[value["path"]] = StoredFile(pointer, value["size"], value["oid"])
            elif key == "deletedFile":
                del tree[value["path"]]
            else:
                self._send(400, {"error": f"unexpected {key}"})
                return
        oid = repository.commit(message, tree)
        self._send(
            200,
            {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid, "pullRequestUrl": None},
        )

    def xet_token(self, kind: str, name: str, revision: str) -> None:
        expiry = int(time.time()) + 3600
        address = f"local://{self.hub.xet}"
        headers = {
            "X-Xet-Cas-Url": address,
            "X-Xet-Access-Token": "xet-token",
            "X-Xet-Token-Expiration": str(expiry),
        }
        self._send(200, {"casUrl": address, "accessToken": "xet-token", "exp": expiry}, headers)

    def resolve(self, name: str, revision: str, path: str, prefix: str | None = None) -> None:
        if (repository := self._find("dataset" if prefix else "model", name)) is None:
            return
        found = repository.find(revision)
        if found is None or path not in found[1]:
            code = "RevisionNotFound" if found is None else "EntryNotFound"
            self._send(404, {}, {"X-Error-Code": code})
            return
        file = found[1][path]
        content = self.hub.read(file)
        headers = {
            "X-Repo-Commit": found[0],
            "ETag": f'"{file.sha256 or file.oid}"',
            "Accept-Ranges": "bytes",
        }
        headers["Content-Type"] = "application/octet-stream"
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if wanted:
            end = min(int(wanted[2] or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {wanted[1]}-{end}/{len(content)}"
            self._send(206, content[int(wanted[1]) : end + 1], headers)
        else:
            self._send(200, content, headers)


_REPO = r"/api/(?P<kind>dataset|model)s/(?P<name>[^/]+/[^/]+)"
_NAME = r"/(?P<prefix>datasets/)?(?P<name>[^/]+/[^/]+)"
_ROUTES: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("GET", "/api/whoami-v2", _Handler.whoami),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate_yaml),
    ("GET", rf"{_REPO}", _Handler.info),
    ("GET", rf"{_REPO}/revision/(?P<revision>.+)", _Handler.info),
    ("GET", rf"{_REPO}/refs", _Handler.refs),
    ("POST", rf"{_REPO}/tag/(?P<revision>.+)", _Handler.tag),
    ("GET", rf"{_REPO}/tree/(?P<revision>[^/]+)(?:/(?P<under>.+))?", _Handler.tree),
    ("POST", rf"{_REPO}/paths-info/(?P<revision>.+)", _Handler.paths_info),
    ("POST", rf"{_REPO}/preupload/(?P<revision>.+)", _Handler.preupload),
    ("POST", rf"{_REPO}/commit/(?P<revision>.+)", _Handler.commit),
    ("GET", rf"{_REPO}/xet-(?:write|read)-token/(?P<revision>.+)", _Handler.xet_token),
    ("POST", rf"{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.put_large),
    ("POST", r"/lfs/complete/(?P<oid>[0-9a-f]{64})", _Handler.complete_large),
    ("POST", r"/lfs/verify/(?P<oid>[0-9a-f]{64})", _Handler.verify_large),
    ("GET", rf"{_NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler.resolve),
)
