"""The formats that there are, which one a host speaks, and what is already said in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from vmnet.errors import UsageError, VmnetError
from vmnet.findings import Finding
from vmnet.host.findings import error, listed, warning
from vmnet.host.managers import Manager, Owner
from vmnet.host.persist import ifupdown, netplan, networkd, networkmanager
from vmnet.host.persist.model import Format, Lasting, NativeFile, Texts
from vmnet.host.persist.seal import Hand, hand, subject

FORMATS: Mapping[str, Format] = {
    f.name: f for f in (module.FORMAT for module in (networkd, netplan, networkmanager, ifupdown))
}
"""Every format by its name."""

_LARGEST = 1 << 20


def observe_texts(root: Path = Path("/")) -> Mapping[str, Texts]:
    """What each manager is told now, by the format's name."""
    return {name: dict(_texts(one, root)) for name, one in FORMATS.items()}


def choose(
    wished: str | None,
    lasting: Lasting,
    owners: Iterable[Owner],
    running: Iterable[Manager],
    texts: Mapping[str, Texts],
) -> Format:
    """The format that is wished; else that of the manager that has the links, is told of them, or is there alone.

    Raises:
        UsageError: There is no such format (``format-unknown``).
        VmnetError: It is not plain which one it is (``format-unclear``).
    """
    if wished is not None:
        if wished not in FORMATS:
            raise UsageError(
                "format-unknown", f"there is no format {wished}", remedy=f"There are: {', '.join(FORMATS)}"
            )
        return FORMATS[wished]
    ways = (
        {f.name for o in owners for f in FORMATS.values() if o.manager in f.managers},
        {name for name, f in FORMATS.items() if any(f.claims(lasting, texts[name]))},
        {f.name for m in running for f in FORMATS.values() if m in f.managers},
    )
    for found in ways:
        found = {"netplan"} if "netplan" in found and found <= {"netplan", "networkd", "networkmanager"} else found
        if len(found) == 1:
            return FORMATS[found.pop()]
        if found:
            break
    raise VmnetError(
        "format-unclear",
        f"it is not plain who is to make {lasting.name} at boot",
        why=f"Several have to do with it: {', '.join(sorted(found))}"
        if found
        else "No network manager was found at work",
        remedy=f"Say which: --format {'|'.join(sorted(found) or FORMATS)}",
    )


def contested(bridge: str, files: Iterable[NativeFile], there: Mapping[Path, str]) -> list[Finding]:
    """Files in the place of ours that are not as vmnet wrote them, or are another bridge's."""
    others = [file.path for file in files if file.path in there and there[file.path] != file.text]
    return [
        error(
            "H458",
            what=f"{path} is not written over: it {what}",
            why="To write it anew would take that away",
            remedy=f"Keep what you need of it, then move it away: mv {path} /root/",
        )
        for path in others
        if (what := _against(bridge, there[path]))
    ]


def stale(bridge: str, chosen: Format, files: Iterable[NativeFile], texts: Texts) -> tuple[list[Path], list[Finding]]:
    """What vmnet wrote for a bridge as it was, and is to be removed now; and what speaks against that."""
    now = {file.path for file in files}
    folders = {path.parent for path in now}
    of_vmnet = [path for path, text in texts.items() if subject(text) == (bridge, chosen.name)]
    left = [path for path in of_vmnet if path not in now and path.parent in folders]
    edited = [path for path in left if hand(texts[path]) is Hand.EDITED]
    return [path for path in left if path not in edited], [
        error(
            "H458",
            what=f"{path} is not removed: it was edited since vmnet wrote it",
            why=f"It is for {bridge} as it was, and would count at boot",
            remedy=f"Keep what you need of it, then move it away: mv {path} /root/",
        )
        for path in edited
    ]


def made_at_boot(bridge: str, texts: Mapping[str, Texts]) -> list[Finding]:
    """The warning that a bridge which is to go comes back at the next boot, by files that vmnet wrote."""
    of_vmnet = {path: subject(text) for one in texts.values() for path, text in one.items()}
    places = [str(path) for path, about in of_vmnet.items() if about and about[0] == bridge]
    if not places:
        return []
    return [
        warning(
            "H420",
            what=f"{bridge} comes back at the next boot, by {listed(places)}",
            why="vmnet bridge persist wrote that",
            remedy=f"If it is not to: rm {' '.join(places)}",
        )
    ]


def rivals(chosen: Format, lasting: Lasting, texts: Mapping[str, Texts]) -> list[Finding]:
    """What other managers are told of the same links."""
    told = {f.name: list(f.claims(lasting, texts[f.name])) for f in FORMATS.values() if f is not chosen}
    return [
        warning(
            "H459",
            what=f"{name} is told of these links too: {', '.join(places[:3])}",
            why="If both managers run at boot, each has it its own way",
            remedy=f"See that only {chosen.name} runs, or take the links out there",
        )
        for name, places in told.items()
        if places and not ({name, chosen.name} <= {"netplan", "networkd", "networkmanager"} and _by_netplan(places))
    ]


def _against(bridge: str, text: str) -> str:
    """Why a file cannot be written over; empty where it can."""
    match hand(text), subject(text):
        case Hand.SOMEBODY, _:
            return "is not vmnet's"
        case Hand.EDITED, _:
            return "was edited since vmnet wrote it"
        case _, (other, _) if other != bridge:
            return f"is of {other}, whose file has the same name"
    return ""


def _by_netplan(places: Iterable[str]) -> bool:
    """Whether netplan wrote all of these, so that what netplan is told counts."""
    return all("netplan-" in Path(place).name for place in places)


def _texts(one: Format, root: Path) -> Iterable[tuple[Path, str]]:
    for folder, pattern in one.reads:
        place = root / folder.lstrip("/")
        try:
            found = sorted(p for p in place.glob(pattern) if not p.name.startswith("."))
        except OSError:
            continue
        for path in found:
            try:
                if path.is_file() or not path.exists() or path.is_char_device():  # /dev/null masks
                    data = path.read_bytes()[:_LARGEST] if path.is_file() else b""
                    yield Path("/") / path.relative_to(root), data.decode(errors="surrogateescape")
            except OSError:
                continue
