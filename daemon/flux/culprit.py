"""The one line that matters out of a long message, and what the message names.

For people and for grouping only: decisions rest on conditions and on the graph, which are API; texts are not
(flux.md, appendix A). Every pattern is linear: no nested repetition over the same characters.
"""

import re
from dataclasses import dataclass

LINE = 300
"""Characters of a culprit line: what a phone shows (experience.md 3)."""
TEMPORARY = re.compile(r"/tmp/[A-Za-z0-9._-]+")  # noqa: S108 - read in messages, never opened
DURATION = re.compile(r"\b(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?(?:ms|µs|us|ns|s)\b|\b\d+h(?:\d+m)?\b|\b\d+m\b(?!\w)")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
ADDRESS = re.compile(r"0x[0-9a-f]+")
HELM_REVISION = re.compile(r"\.v\d+\b")
POD_HASH = re.compile(r"-[0-9a-f]{8,10}-[a-z0-9]{5}\b")
LONG_HASH = re.compile(r"\b[0-9a-f]{32,64}\b")
HELM_LOGS = "\n\nLast Helm logs:"
ITEM = re.compile(
    r"(?<![A-Za-z0-9])(?P<kind>[A-Za-z0-9]+)/(?:(?P<ns>[a-z0-9.-]+)/)?(?P<name>[A-Za-z0-9.:_-]+)"
    r" status: '(?P<status>\w+)'(?P<rest>: )?"
)
UNDETERMINED = re.compile(
    r"can't determine status for (?P<kind>[A-Za-z0-9]+)/(?:(?P<ns>[a-z0-9.-]+)/)?(?P<name>[^\s,\]]+)"
)
DEPENDENCY = re.compile(r"dependency '(?P<dep>[^']+)' (?P<why>[^\n]*)")
LOOKUP = re.compile(r"unable to get '(?P<dep>[^']+)' dependency")
HELM_SOURCE = re.compile(
    r"^(?P<kind>HelmChart|OCIRepository|ExternalArtifact) '(?P<place>[^']+)' is not ready: (?P<why>.*)$", re.DOTALL
)
HELM_ACTION = re.compile(
    r"^Helm (?P<act>install|upgrade|rollback|uninstall|test)\w* failed for release \S+ with chart \S+: "
)
CHANGE = re.compile(
    r"^(?P<kind>[A-Za-z0-9]+)/(?:(?P<ns>[^/\s]+)/)?(?P<name>\S+) (?P<op>created|configured|deleted|skipped)$",
    re.MULTILINE,
)
WEBHOOK = re.compile(r'failed calling webhook "(?P<name>[^"]+)"')
SERVICE = re.compile(r"https?://(?P<name>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc\b")
HOST = re.compile(
    r"dial tcp(?:: lookup (?P<name>[A-Za-z0-9.-]+)(?: on \S+)?| (?P<address>[A-Za-z0-9.:\[\]-]+)): "
    r"(?=connect|i/o|no such|server|read udp)"
)
OVERLOADED = re.compile(
    r"https?://(?:[^/@\s\"']{0,256}@)?(?P<server>[A-Za-z0-9.-]+(?::\d+)?)(?:/[^\s\"']*)?"
    r"[\"']?\s{0,2}:?\s{0,2}(?:unexpected )?(?:status code:? )?5\d\d\b"
)
"""A server that answers, and with an error of its own: its code stands right behind the address."""
ETCD = re.compile(
    r"(?P<part>etcdserver): "
    r"(?:request timed out|leader changed|no leader|too many requests|mvcc: database space exceeded)"
)
"""What etcd says of itself; of a request that is too large, say, nobody else fails."""
REFUSED = re.compile(
    r"authentication (?:required|failed)|unauthorized|invalid credentials|unable to authenticate|bad credentials"
    r"|could not read username|invalid username or password|cannot get sops data key",
    re.IGNORECASE,
)
"""What is said of a password, a token or a key that does not open."""
OF_ONE = re.compile(r"repository not found|\bmac\b", re.IGNORECASE)
"""Words beside it that are about one repository, or one file, and not about the key."""
MISSING_KIND = re.compile(r'no matches for kind "[^"]+" in version "(?P<group>[^"/]*)/?[^"/]*"')
NOT_SERVED = re.compile(r"could not find the requested resource \(\w+ [a-z0-9-]+\.(?P<group>[a-z0-9.-]+) ")
"""What a client says whose list of kinds is older than the removal of one."""
MISSING_NAMESPACE = re.compile(
    r'namespaces "(?P<missing>[^"]+)" not found|in namespace (?P<ending>[a-z0-9.-]+) because it is being terminated'
)
POLICY = re.compile(r"(?:Validating|Mutating)AdmissionPolicy '(?P<name>[^']+)'")
DENIED = re.compile(r'admission webhook "(?P<hook>[^"]+)" denied the request:\s*(?P<said>.*)', re.DOTALL)
CONSTRAINT = re.compile(
    r"\[(?P<gatekeeper>[^\]]+)\]|blocked due to the following policies\s+(?P<kyverno>[A-Za-z0-9._-]+):"
)
"""How Gatekeeper and Kyverno name, behind one webhook for all, the policy that denies."""
ACCOUNT = re.compile(r'User "system:serviceaccount:(?P<namespace>[^:"]+):(?P<name>[^:"]+)" cannot ')
UNANSWERED = "webhook "
GROUP = "group "
NAMESPACE = "namespace "
API_SERVER = "the API server's "
EMPTY_WORDS = (
    "context deadline exceeded",
    "would exceed context deadline",
    "timed out waiting for the condition",
    "context canceled",
)
"""Said when something else was too slow: never the answer while anything more specific stands there."""


@dataclass(frozen=True, slots=True)
class Blamed:
    """One object that a wait error names, with its kstatus and, where given, its error."""

    kind: str
    namespace: str
    name: str
    status: str
    error: str = ""

    def __str__(self) -> str:
        """Print as Kind/namespace/name and its status."""
        place = "/".join(part for part in (self.kind, self.namespace, self.name) if part)
        return f"{place} {self.status}" + (f" ({self.error})" if self.error else "")


def blamed(message: str) -> tuple[Blamed, ...]:
    """Return the objects that a wait error lists, sorted: Flux lists them in the order of a Go map."""
    if "status: '" not in message and "can't determine status" not in message:
        return ()
    found = []
    matches = list(ITEM.finditer(message))
    for index, match in enumerate(matches):
        until = matches[index + 1].start() if index + 1 < len(matches) else len(message)
        error = message[match.end() : until].rstrip(", ]\n") if match["rest"] else ""
        found.append(Blamed(match["kind"], match["ns"] or "", match["name"], match["status"], error))
    found += [Blamed(m["kind"], m["ns"] or "", m["name"], "Unknown") for m in UNDETERMINED.finditer(message)]
    return tuple(sorted(set(found), key=lambda item: (item.kind, item.namespace, item.name, item.status, item.error)))


def culprit_of(message: str) -> str:
    """Return the line of a message that a person needs, at most 300 characters, without what changes by the try."""
    text = message.split(HELM_LOGS, 1)[0].strip()
    source = HELM_SOURCE.match(text)
    if source is None:
        return _short(_said(text))
    return _short(f"{source['kind']} {source['place']} is not ready: {_said(source['why'])}")


def fingerprint(message: str) -> str:
    """Return the message without what differs between two tries of the same failure."""
    text = message.split(HELM_LOGS, 1)[0]
    listed = blamed(text)
    if listed:
        head = text.split("[", 1)[0]
        text = head + ", ".join(str(item) for item in listed)
    for pattern, word in NORMAL:
        text = pattern.sub(word, text)
    return text.strip()


def dependency_of(message: str) -> tuple[str, str] | None:
    """Return (namespace/name, why) of the dependency that a message names, or None."""
    match = DEPENDENCY.search(message)
    if match is not None:
        return match["dep"], match["why"]
    lookup = LOOKUP.search(message)
    return (lookup["dep"], "not found") if lookup is not None else None


def service_of(message: str) -> tuple[str, str] | None:
    """Return (namespace, name) of the Service behind a webhook, from the words of who could not call it; or None."""
    found = SERVICE.search(message)
    return (found["namespace"], found["name"]) if found is not None else None


def shared_fault(message: str) -> str:
    """Return what many objects fail of alike, or nothing.

    An API group or a namespace that is not there, a webhook or a host that does not answer, a policy that denies,
    an account without rights, etcd: Flux names it in the text and in no field.
    """
    for pattern, word in SHARED:
        found = pattern.search(message)
        if found is not None:
            return word + "/".join(part for part in found.groups() if part)
    denied = DENIED.search(message)
    policy = CONSTRAINT.search(denied["said"]) if denied is not None else None
    if denied is None or policy is None:
        return ""  # a webhook's own words about one object say nothing of another
    return f"policy {policy['gatekeeper'] or policy['kyverno']} of {denied['hook']}"


def is_refused(message: str) -> bool:
    """Say whether a message tells that a password, a token or a key does not open what it should."""
    return REFUSED.search(message) is not None and OF_ONE.search(message) is None


def overloaded_server(message: str) -> str:
    """Return the server, with its port, that answered a fetch with an error of its own; or nothing."""
    found = OVERLOADED.search(message)
    return found["server"] if found is not None else ""


def changed_lines(message: str) -> tuple[tuple[str, str, str, str], ...]:
    """Return (kind, namespace, name, what was done) of every object that a Progressing event lists."""
    return tuple((match["kind"], match["ns"] or "", match["name"], match["op"]) for match in CHANGE.finditer(message))


def _said(text: str) -> str:
    """Return what a message says of itself, past the source that it may quote (once: a quote in a quote is text)."""
    listed = blamed(text)
    action = HELM_ACTION.match(text)
    if listed:
        verb = f"Helm {action['act']} failed: " if action else "health check failed: "
        return verb + ", ".join(str(item) for item in listed)
    if action is not None:
        return f"Helm {action['act']} failed: {_telling_line(text[action.end() :])}"
    return _telling_line(text)


def _telling_line(text: str) -> str:
    """Return the first line that says more than that time ran out, with what it announces by a colon at its end."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not _is_empty_talk(line)] or lines
    if not telling:
        return ""
    return " ".join(telling) if telling[0].endswith(":") else telling[0]


def _is_empty_talk(line: str) -> bool:
    """Say whether a line tells nothing but that time ran out."""
    last = line.rsplit(": ", 1)[-1]
    return len(line) < 2 * len(last) and any(words in last for words in EMPTY_WORDS)


def without_empty_talk(line: str) -> str:
    """Return a culprit line without an end that only says that time ran out: what is known below it says why."""
    for words in EMPTY_WORDS:
        head, found, rest = line.partition(words)
        if found and not rest.strip(" .)"):
            return f"{head.split(': ', 1)[0]}: time ran out" if ": " in head else "time ran out"
    return line


def _short(text: str) -> str:
    """Return one line within the limit, without temporary directories and durations of a try."""
    line = " ".join(TEMPORARY.sub("…", text).split())
    return line if len(line) <= LINE else line[: LINE - 1] + "…"


SHARED: tuple[tuple[re.Pattern[str], str], ...] = (
    (MISSING_KIND, GROUP),
    (NOT_SERVED, GROUP),
    (MISSING_NAMESPACE, NAMESPACE),
    (WEBHOOK, UNANSWERED),
    (POLICY, "policy "),
    (ACCOUNT, "account "),
    (HOST, "host "),
    (ETCD, API_SERVER),
)
"""What is asked of a message in this order, and the word that the answer begins with."""
NORMAL: tuple[tuple[re.Pattern[str], str], ...] = (
    (STAMP, "TIME"),
    (TEMPORARY, "DIR"),
    (POD_HASH, "-POD"),
    (HELM_REVISION, ".vN"),
    (ADDRESS, "0xN"),
    (LONG_HASH, "HASH"),
    (DURATION, "DUR"),
)
