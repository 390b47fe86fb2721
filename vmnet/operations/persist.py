"""Have a bridge come up at boot as it is now: the native configuration of the host's network manager."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vmnet.change.plan import Plan, Step
from vmnet.errors import VmnetError
from vmnet.findings import Finding, Severity
from vmnet.host.carried import dumped, observe_carried, read_sysctls
from vmnet.host.entry import Kind
from vmnet.host.managers import Manager, Owner, observe_owners, observe_running
from vmnet.host.model import GUEST_PORTS, PAIRED, Host, Link
from vmnet.host.observe import observe
from vmnet.host.persist.describe import Seen, describe, says
from vmnet.host.persist.formats import choose, contested, observe_texts, rivals, stale
from vmnet.host.persist.model import Format, NativeFile
from vmnet.host.persist.seal import Hand, hand
from vmnet.host.planner import real_name
from vmnet.host.wire import Line
from vmnet.operations.bridge import bridge as seen_bridge
from vmnet.operations.change import Run
from vmnet.values import dataclass

_CLIENTS = frozenset({Manager.DHCLIENT, Manager.DHCPCD, Manager.UDHCPC})


@dataclass(frozen=True, slots=True)
class Persisted:
    """The configuration that makes a bridge at boot.

    Args:
        bridge: The bridge's name.
        format: Whose configuration it is.
        files: All its files.
        plan: Those that are not so yet, and what was found.
        applied: Whether they were written.
        effect: How it comes to work before the next boot.
        transaction: The id by which it can be taken back; empty where nothing was written.
    """

    bridge: str
    format: str
    files: tuple[NativeFile, ...]
    plan: Plan
    applied: bool
    effect: str
    transaction: str = ""

    def document(self) -> dict[str, Any]:
        """The configuration as a JSON-able mapping with stable keys."""
        return {
            "applied": self.applied,
            "bridge": self.bridge,
            "format": self.format,
            "transaction": self.transaction or None,
            "files": [file.document() for file in self.files],
            "effect": self.effect,
            **self.plan.document(),
        }


def persist(name: str, format_name: str | None, *, write: bool, run: Run) -> Persisted:
    """Say how a bridge is to be made at boot, and have it written.

    Args:
        name: The bridge's name.
        format_name: Whose configuration; None for that of the manager which has it.
        write: Whether to write it.
        run: How to carry it out.

    Raises:
        Refused: It cannot be said, or would not do what it says; nothing was written.
        UsageError: ``format-unknown``.
        VmnetError: ``bridge-unknown``, ``format-unclear``, or it failed before anything was written.
        RolledBack: It failed, and all files are as they were.
        NotRolledBack: Not everything could be put back.
    """
    with run.alone_with(links=(name,)):
        host = observe()
        link = seen_bridge(real_name(host, name)).link
        chosen, files, plan = _planned(host, link, format_name)
        if not write:
            plan = Plan(plan.steps, tuple(map(_of_a_print, plan.findings)))
        plan.refuse()
        run.planned(plan)
        done = Persisted(link.name, chosen.name, files, plan, False, _effect(chosen, link))
        if run.dry or not write or not plan.steps:
            return done
        from vmnet.change.executor import execute
        from vmnet.change.files import FileWing
        from vmnet.change.transaction import Transaction

        transaction = Transaction((link.name,), ())
        execute(plan, {"files": FileWing()}, run.progress, transaction)
        return replace(done, applied=True, transaction=transaction.id)


def _planned(host: Host, link: Link, format_name: str | None) -> tuple[Format, tuple[NativeFile, ...], Plan]:
    from vmnet.change.files import RemoveFile, WriteFile, read_file

    ports = _to_lan(host.ports(link))
    texts = observe_texts()
    owners = observe_owners((link, *ports))
    with Line() as line:
        carried = observe_carried(line, [link.name, *(p.name for p in ports)])
        rules = tuple(dumped(line, Kind.RULE))
    if link.name not in carried:
        raise VmnetError("link-gone", f"{link.name} went away meanwhile")
    seen = Seen(
        bridge=carried[link.name],
        ports=tuple(carried[p.name] for p in ports if p.name in carried),
        rules=rules,
        defaults=read_sysctls(replace(link, name="default")),
    )
    servers, search = _resolver()
    seen = replace(seen, name_servers=servers, search=search)
    chosen = choose(format_name, describe(seen)[0], owners, observe_running(), texts)
    seen = replace(seen, leased_by=_leased_by(chosen, seen, owners, texts[chosen.name]))
    lasting, findings = describe(seen)
    Plan((), findings).refuse()  # names that no file can have
    told, unsaid = says(lasting, chosen.says, chosen.name)
    files = chosen.files(told, texts[chosen.name])
    there = {file.path: read_file(file.path) for file in files}
    written = {path: content.data.decode(errors="replace") for path, content in there.items() if content}
    steps: tuple[Step, ...] = tuple(
        WriteFile(file.path, file.text, file.mode)
        for file in files
        if (content := there[file.path]) is None or (written[file.path], content.mode) != (file.text, file.mode)
    )
    past, edited = stale(link.name, chosen, files, texts[chosen.name])
    steps += tuple(map(RemoveFile, past))
    against = (
        *chosen.clashes(told, texts[chosen.name]),
        *contested(link.name, files, written),
        *edited,
        *rivals(chosen, told, texts),
    )
    return chosen, files, Plan(steps, (*findings, *unsaid, *against))


def _of_a_print(finding: Finding) -> Finding:
    """What another file has against writing ours does not keep them from being printed."""
    is_of_files = finding.code in ("H456", "H458")
    return replace(finding, severity=Severity.WARNING) if finding.is_error and is_of_files else finding


def _to_lan(ports: Iterable[Link]) -> tuple[Link, ...]:
    """The ports that lead to a LAN: none of a guest's, and no container's where there is hardware."""
    found = tuple(p for p in ports if p.kind not in GUEST_PORTS)
    return tuple(p for p in found if p.kind not in PAIRED) or found


def _leased_by(chosen: Format, seen: Seen, owners: Iterable[Owner], texts: Any) -> str:
    """By whom IPv4 is leased, where the addresses alone do not tell."""
    for owner in owners:
        if owner.manager in _CLIENTS:
            return f"{owner.manager.value} ({owner.evidence})"
    others = {path: text for path, text in texts.items() if hand(text) is Hand.SOMEBODY}
    return chosen.leases(describe(seen)[0], others)


def _effect(chosen: Format, link: Link) -> str:
    return f"It comes to work at the next boot; {chosen.effect.format(bridge=link.name)}"


_RESOLVED, _RESOLVER = Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf")


def _resolver() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whom this host asks for names, and in which domains: those behind systemd-resolved where it is."""
    from ipaddress import ip_address

    servers: list[str] = []
    search: list[str] = []
    for path in (_RESOLVED, _RESOLVER):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            match line.split():
                case ["nameserver", server, *_]:
                    try:
                        address = ip_address(server)
                    except ValueError:  # one with a zone, which is another link's
                        continue
                    servers += [] if address.is_loopback or address.is_link_local else [str(address)]
                case ["search", *domains] | ["domain", *domains]:
                    search = [d for d in domains if _is_domain(d)]
        if servers:
            break
    return tuple(servers[:3]), tuple(search)


def _is_domain(text: str) -> bool:
    import re

    label = r"(?!-)[A-Za-z0-9_-]+(?<!-)"
    return bool(re.fullmatch(rf"{label}(\.{label})*\.?", text))
