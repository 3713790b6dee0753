"""Files of a git repository, by the machine's own `git` program: build contexts and ADD.

`https://host/repo.git#REF:SUBDIR`, `git://…`, `ssh://…`, `git@host:repo`, `github.com/user/repo`; also BuildKit's `?ref=…&subdir=…`
queries (`branch`, `tag`, `ref`, `commit`, `subdir`, `keep-git-dir`).
"""

import asyncio
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from urllib.parse import parse_qsl

from corten.errors import Invalid, Unavailable, Unsupported

_SCHEME = re.compile(r"(?:git://|ssh://|git@[^/\s]+:)")
_WEB = re.compile(r"https?://[^?#]+\.git/?(?=$|[?#])")
_GITHUB = re.compile(r"github\.com/[^/\s]+/[^/\s]+")
_SHORT_SHA = re.compile(r"[0-9a-f]{7,64}")
_SAFE = re.compile(r"[\w./@{}^~+-]*")
QUERY = {"ref", "branch", "tag", "commit", "checksum", "subdir", "keep-git-dir", "submodules"}


@dataclass(frozen=True, slots=True)
class GitSource:
    """`ref` "" is the default branch."""

    url: str
    ref: str = ""
    folder: str = ""
    keep_git_dir: bool = False
    commit: str = ""


def is_git(text: str) -> bool:
    return bool(_SCHEME.match(text) or _WEB.match(text) or (_GITHUB.match(text) and "://" not in text))


def parse_git(text: str) -> GitSource:
    """Raises Invalid."""
    place, _, fragment = text.partition("#")
    url, _, query = place.partition("?")
    ref, _, folder = fragment.partition(":")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := set(options) - QUERY:
        raise Invalid(f"unexpected query {sorted(unknown)[0]!r} of a git source", reason="bad-git-source")
    ref = options.get("ref") or options.get("branch") or options.get("tag") or ref or options.get("commit", "")
    folder = (options.get("subdir") or folder).strip("/")
    if ref.startswith("-") or not _SAFE.fullmatch(ref) or ".." in folder.split("/"):
        raise Invalid(f"invalid git reference {fragment or query!r}", reason="bad-git-source")
    if _GITHUB.match(url):
        url = f"https://{url}"
    keep = options.get("keep-git-dir", "0") not in ("0", "false") if "keep-git-dir" in options else False
    return GitSource(url, ref, folder, keep, options.get("commit") or options.get("checksum", ""))


async def check_out(source: GitSource, folder: str, *, agent: str = "") -> str:
    """Puts the files of `source` into the empty `folder`; the commit. `agent` is an SSH agent's socket. Works beside `folder`.

    Raises Unsupported without a git program, Unavailable when the repository does not answer, Invalid for a reference it has not.
    """
    if shutil.which("git") is None:
        raise Unsupported("git is not installed on the engine's machine", reason="no-git", hint="install git, or send the folder itself")
    work = tempfile.mkdtemp(prefix="git-", dir=os.path.dirname(folder))
    try:
        await _git(["init", "-q", work], agent)
        await _fetch(work, source, agent)
        await _git(["-C", work, "-c", "advice.detachedHead=false", "checkout", "-q", "FETCH_HEAD"], agent)
        await _git(["-C", work, "submodule", "-q", "update", "--init", "--recursive", "--depth", "1"], agent)
        commit = await _git(["-C", work, "rev-parse", "HEAD"], agent)
        if source.commit and not commit.startswith(source.commit):
            raise Invalid(f"expected checksum to match {source.commit}, got {commit}", reason="git-checksum")
        await asyncio.to_thread(_take, work, source, folder)
        return commit
    finally:
        await asyncio.to_thread(shutil.rmtree, work, True)


async def _fetch(work: str, source: GitSource, agent: str) -> None:
    """One commit; all of the history from servers that cannot give less (plain web servers), or not that commit by its number."""
    words = ["-C", work, "fetch", "-q", "--no-tags"]
    try:
        await _git([*words, "--depth", "1", source.url, source.ref or "HEAD"], agent, source)
    except (Unavailable, Invalid) as error:
        if "shallow" in error.message:
            await _git([*words, source.url, source.ref or "HEAD"], agent, source)
        elif _SHORT_SHA.fullmatch(source.ref):
            await _git([*words, source.url, "+refs/*:refs/remotes/origin/*"], agent, source)
            await _git(["-C", work, "update-ref", "--no-deref", "FETCH_HEAD", f"{source.ref}^{{commit}}"], agent, source)
        else:
            raise


def _take(work: str, source: GitSource, folder: str) -> None:
    if not source.keep_git_dir:
        shutil.rmtree(os.path.join(work, ".git"), ignore_errors=True)
    inner = os.path.join(work, source.folder)
    if not os.path.isdir(inner) or not os.path.realpath(inner).startswith(os.path.realpath(work)):
        raise Invalid(f"subdir {source.folder!r} is not a folder of the repository", reason="bad-git-source")
    for name in os.listdir(inner):
        shutil.move(os.path.join(inner, name), os.path.join(folder, name))
    for path, folders, files in os.walk(folder):
        for name in folders:
            _fix_mode(os.path.join(path, name), 0o755)
        for name in files:
            _fix_mode(os.path.join(path, name), 0o644)


def _fix_mode(path: str, mode: int) -> None:
    """git knows whether a file is executable, and nothing else of its mode."""
    if not os.path.islink(path):
        os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else mode)


async def _git(arguments: list[str], agent: str, source: GitSource | None = None) -> str:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
        "GIT_ALLOW_PROTOCOL": "http:https:git:ssh",
    } | ({"SSH_AUTH_SOCK": agent} if agent else {})
    pipes = asyncio.subprocess
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, env=environment, stdin=pipes.DEVNULL, stdout=pipes.PIPE, stderr=pipes.PIPE
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        said = err.decode(errors="replace").strip()
        if source is not None and "couldn't find remote ref" in said:
            raise Invalid(f"repository does not contain ref {source.ref}", reason="git-ref")
        where = source.url if source else "git"
        raise Unavailable(f"failed to fetch {where}: {said.splitlines()[-1] if said else process.returncode}", reason="git-failed")
    return out.decode().strip()
