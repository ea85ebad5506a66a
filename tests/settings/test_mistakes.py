"""The mistakes of a new user: each gets one line that names the place and the cure."""

import pytest

from authproxy.errors import SecretError
from authproxy.settings import read_pepper

# What is replaced in minimal.yaml, by what, and the line that comes of it.
MISTAKES = {
    "a misspelt key": (
        "bind: 0.0.0.0:8443",
        "bnid: 0.0.0.0:8443",
        'authproxy.yaml:3:22: listeners.public.bnid: unknown key (did you mean "bind"?)',
    ),
    "a misspelt section": (
        "listeners:",
        "listener: ",
        'authproxy.yaml:3:1: listener: unknown key (did you mean "listeners"?)',
    ),
    "a key of a later version": (
        "routes:",
        "identity: {assertion: {}}\nroutes:",
        "authproxy.yaml:7:12: identity.assertion: is not available in this version",
    ),
    "a value of a later version": (
        "keystore: main}}",
        "keystore: main, mode: authz}}",
        "authproxy.yaml:3:64: listeners.public.mode: authz is not available in this version: http, tcp or redirect is",
    ),
    "a key in the wrong map": (
        "keystore: main}}",
        'keystore: main, minimum: "1.3"}}',
        "authproxy.yaml:3:58: listeners.public.minimum: unknown key here: it belongs under listeners.public.tls",
    ),
    "a tab": (
        "listeners: {public: {bind: 0.0.0.0:8443, keystore: main}}",
        "listeners:\n\tpublic: {bind: 0.0.0.0:8443}",
        "authproxy.yaml:4:1: a tab indents this line: YAML wants spaces",
    ),
    "a line that is indented too far": (
        "version: 1\n",
        "version: 1\n  workers: 1\n",
        (
            "authproxy.yaml:2:10: `: ` is not expected here: indent this line like its neighbours, end the line above with `:`, "
            "or quote a value that contains `: `"
        ),
    ),
    "a line that is indented too little": (
        "listeners: {public: {bind: 0.0.0.0:8443, keystore: main}}",
        "listeners:\n    public:\n        bind: 0.0.0.0:8443\n      keystore: main",
        "authproxy.yaml:6:7: this line does not fit the indentation above it: align it with the keys of its own map",
    ),
    "a bracket that is not closed": (
        "[{file: pepper}], catalog",
        "[{file: pepper}, catalog",
        (
            "authproxy.yaml:5:72: the list that was opened with [ is not closed: a comma or ] is missing before here "
            "(opened at 5:41)"
        ),
    ),
    "a quote that is not closed": (
        "prefix: svc",
        'prefix: "svc',
        "authproxy.yaml:8:1: the quoted text is not closed: its second quote is missing (opened at 5:27)",
    ),
    "a duplicate key": (
        "routes:",
        "version: 1\nroutes:",
        "authproxy.yaml:7:1: version: this key stands twice, first at 1:1: keep one",
    ),
    "no version": (
        "version: 1\n",
        "",
        "authproxy.yaml:1:1: version: is needed: begin the file with `version: 1`",
    ),
    "a later version": ("version: 1", "version: 2", "authproxy.yaml:1:10: version: must be 1"),
    "the version in quotes": ("version: 1", 'version: "1"', "authproxy.yaml:1:10: version: must be 1, unquoted"),
    "the version as a truth value": ("version: 1", "version: true", "authproxy.yaml:1:10: version: must be 1"),
    "the version as a fraction": ("version: 1", "version: 1.0", "authproxy.yaml:1:10: version: must be 1"),
    "a list where a word belongs": (
        "keystore: main}}",
        "keystore: main, mode: [http]}}",
        "authproxy.yaml:3:64: listeners.public.mode: must be one of http, tcp, redirect",
    ),
    "a list where a word of mutual TLS belongs": (
        "keystore: main}}",
        "keystore: main, client_certificates: {mode: [required]}}}",
        "authproxy.yaml:3:86: listeners.public.client_certificates.mode: must be one of none, optional, required",
    ),
    "a number where a map belongs": (
        "keystore: main}}",
        "keystore: main, tls: 0}}",
        "authproxy.yaml:3:63: listeners.public.tls: must be a map of keys, is a number",
    ),
    "a key of the first level, far from any that is known": (
        "routes:",
        "qqq: 1\nroutes:",
        (
            "authproxy.yaml:7:1: qqq: unknown key (known: catalogs, control, identity, include, keystores, limits, listeners, "
            "logging, ops, pages, reload, routes, sessions, state, timeouts, trusted_proxies, truststores, upstreams, "
            "version, workers, zones)"
        ),
    ),
    "an unknown zone": (
        "path: /,",
        "path: /, zone: app,",
        'authproxy.yaml:7:29: routes[0].zone: unknown zone (did you mean "api"?)',
    ),
    "an unknown upstream": (
        "upstream: legacy}",
        "upstream: legcay}",
        'authproxy.yaml:7:33: routes[0].upstream: unknown upstream (did you mean "legacy"?)',
    ),
    "an unknown keystore": (
        "keystore: main",
        "keystore: mian",
        'authproxy.yaml:3:52: listeners.public.keystore: unknown keystore (did you mean "main"?)',
    ),
    "no keystore": (
        "keystores: {main: {file: server.pem}}\nlisteners: {public: {bind: 0.0.0.0:8443, keystore: main}}",
        "listeners: {public: {bind: 0.0.0.0:8443}}",
        "authproxy.yaml:2:13: listeners.public: needs a keystore, and none is defined: add `keystores: {NAME: {file: PATH}}`",
    ),
    "a number without unit where a duration belongs": (
        "catalog: users}}",
        "catalog: users, max_grace: 30}}",
        "authproxy.yaml:5:86: zones.api.max_grace: a duration needs a unit: 30s",
    ),
    "a duration in words": (
        "routes:",
        "timeouts: {head: 10 seconds}\nroutes:",
        "authproxy.yaml:7:18: timeouts.head: write it as 10s",
    ),
    "a wait of nothing": (
        "routes:",
        "timeouts: {head: 0s}\nroutes:",
        "authproxy.yaml:7:18: timeouts.head: must be between 1ms and 1d, is 0s",
    ),
    "a size in units of 1000": (
        "routes:",
        "limits: {head: 32KB}\nroutes:",
        "authproxy.yaml:7:16: limits.head: write it as 32KiB (units count by 1024)",
    ),
    "a port alone": (
        "bind: 0.0.0.0:8443",
        "bind: 8443",
        (
            "authproxy.yaml:3:28: listeners.public.bind: needs an address: 0.0.0.0:8443 for everybody, "
            "127.0.0.1:8443 for this machine"
        ),
    ),
    "a port that is none": (
        "bind: 0.0.0.0:8443",
        "bind: 0.0.0.0:84430",
        "authproxy.yaml:3:28: listeners.public.bind: a port is at most 65535",
    ),
    "plaintext to another machine": (
        "https://legacy",
        "http://legacy",
        (
            "authproxy.yaml:6:21: upstreams.legacy: http:// to another machine sends credentials in plaintext: use https://, "
            "or write {urls: [http://legacy.internal:9443], unsafe_remote_plaintext: true}"
        ),
    ),
    "a URL with a path": (
        "internal:9443",
        "internal:9443/app",
        (
            "authproxy.yaml:6:21: upstreams.legacy: a URL ends after the port: paths are the route's business "
            "(path, strip_prefix, rewrite)"
        ),
    ),
    "a URL with a password": (
        "https://legacy",
        "https://me:hunter2@legacy",
        "authproxy.yaml:6:21: upstreams.legacy: a URL carries no user or password: set the route's headers.request instead",
    ),
    "a secret in the file": (
        "{file: pepper}",
        "hunter2hunter2hunter2hunter2hunter2",
        (
            "authproxy.yaml:5:42: zones.api.peppers[0]: a secret is not written here but referred to: "
            "{file: PATH}, {env: NAME} or {credential: NAME}"
        ),
    ),
    "one pepper without a list": (
        "[{file: pepper}]",
        "{file: pepper}",
        "authproxy.yaml:5:41: zones.api.peppers: must be a list, as in [a, b], is a map",
    ),
    "an underscore in a prefix": (
        "prefix: svc",
        "prefix: my_svc",
        "authproxy.yaml:5:27: zones.api.prefix: a prefix is 1 to 4004 letters, digits and hyphens (no underscore: it ends the prefix)",
    ),
    "digits for a prefix": (
        "prefix: svc",
        "prefix: 42",
        "authproxy.yaml:5:27: zones.api.prefix: must be text: put it in quotes",
    ),
    "a zone without name": (
        "{api: {prefix: svc, peppers: [{file: pepper}], catalog: users}}",
        "{prefix: svc}",
        (
            "authproxy.yaml:5:21: zones.prefix: must be a map of keys: it looks like a key of a zone, which needs a name: "
            "zones: {NAME: {prefix: ...}}"
        ),
    ),
    "a route without upstream": (
        ", upstream: legacy}",
        "}",
        "authproxy.yaml:7:13: routes[0].upstream: is needed: the upstream that requests go to",
    ),
    "a path without slash": (
        "path: /,",
        "path: admin,",
        "authproxy.yaml:7:20: routes[0].path: must begin with /",
    ),
    "a path that is encoded": (
        "path: /,",
        "path: /a%2fb,",
        "authproxy.yaml:7:20: routes[0].path: must not contain %: write the path as it reads once decoded, without query",
    ),
    "an unknown kind of catalog": (
        "kind: file",
        "kind: flie",
        'authproxy.yaml:4:27: catalogs.users.kind: unknown kind (did you mean "file"?)',
    ),
    "a kind of a later version": (
        "kind: file",
        "kind: postgres",
        "authproxy.yaml:4:27: catalogs.users.kind: postgres is not available in this version (known: composite, file)",
    ),
    "a catalog without kind": (
        "kind: file, ",
        "",
        "authproxy.yaml:4:13: catalogs.users.kind: is needed: one of composite, file",
    ),
    "a catalog without file": (
        ", file: tokens.yaml",
        "",
        "authproxy.yaml:4:13: catalogs.users.file: is needed: the token file",
    ),
    "a variable that is not set": (
        "https://legacy.internal:9443",
        '"${LEGACY_URL}"',
        (
            "authproxy.yaml:6:21: upstreams.legacy: environment variable LEGACY_URL is not set "
            "(write ${LEGACY_URL:-default} to go without)"
        ),
    ),
    "a variable without quotes in a flow map": (
        "https://legacy.internal:9443",
        "${LEGACY_URL}",
        'authproxy.yaml:6:22: inside [ ] and { } a variable needs quotes: "${NAME}"',
    ),
    "a list where a map belongs": (
        "{main: {file: server.pem}}",
        "[{file: server.pem}]",
        "authproxy.yaml:2:12: keystores: must be a map of keys, is a list",
    ),
    "an empty section": (
        "{legacy: https://legacy.internal:9443}",
        "",
        "authproxy.yaml:6:11: upstreams: must be a map of keys, is empty",
    ),
    "yes for true": (
        "path: /,",
        "path: /, public: yes,",
        "authproxy.yaml:7:31: routes[0].public: write true, unquoted",
    ),
    "two listeners on one address": (
        "keystore: main}}",
        "keystore: main}, other: {bind: 0.0.0.0:8443}}",
        (
            "authproxy.yaml:3:73: listeners.other.bind: 0.0.0.0:8443 is taken by listeners.public: "
            "every address is bound once"
        ),
    ),
    "public with a zone": (
        "path: /,",
        "path: /, public: true, zone: api,",
        "authproxy.yaml:7:37: routes[0].zone: a public route asks nobody: take `zone` or `public: true` away",
    ),
    "a host with a port": (
        "path: /,",
        "path: /, host: 'app.example.org:8443',",
        "authproxy.yaml:7:29: routes[0].host: a host has no port: the listener has one",
    ),
    "the same route twice": (
        "upstream: legacy}]",
        "upstream: legacy}, {path: /, upstream: legacy}]",
        "authproxy.yaml:7:42: routes[1]: same listener, host and path as routes[0]: which one is meant? keep one",
    ),
    "no routes": (
        "routes:    [{path: /, upstream: legacy}]",
        "",
        "authproxy.yaml:1:1: routes: needs at least one route, as in [{path: /, upstream: NAME}]",
    ),
    "an empty list of routes": (
        "routes:    [{path: /, upstream: legacy}]",
        "routes: []",
        "authproxy.yaml:7:1: routes: needs at least one route, as in [{path: /, upstream: NAME}]",
    ),
    "no listeners": (
        "listeners: {public: {bind: 0.0.0.0:8443, keystore: main}}",
        "listeners: {}",
        "authproxy.yaml:3:1: listeners: needs at least one listener, as in {public: {bind: 0.0.0.0:8443}}",
    ),
    "several workers": (
        "routes:",
        "workers: auto\nroutes:",
        "authproxy.yaml:7:10: workers: only 1 is available in this version",
    ),
    "open ops": (
        "routes:",
        "ops: {bind: 0.0.0.0:9901}\nroutes:",
        (
            "authproxy.yaml:7:13: ops.bind: others can reach this address: bind to 127.0.0.1 or unix:/path, "
            "or add `keystore` and `client_certificates: {mode: required, trust: NAME}`"
        ),
    ),
    "a version of TLS without quotes": (
        "keystore: main}}",
        "keystore: main, tls: {minimum: 1.3}}}",
        "authproxy.yaml:3:73: listeners.public.tls.minimum: must be one of 1.2, 1.3: put it in quotes",
    ),
    "client certificates without trust": (
        "keystore: main}}",
        "keystore: main, client_certificates: {mode: required}}}",
        "authproxy.yaml:3:58: listeners.public.client_certificates: mode required needs `trust: NAME`, one of the truststores",
    ),
    "a merge key": (
        "routes:",
        "<<: {}\nroutes:",
        "authproxy.yaml:7:1: merge keys (<<) are not read: write the keys out",
    ),
}


@pytest.mark.parametrize(("old", "new", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_line_with_place_and_cure(problems, minimal, old, new, line):
    """Exactly one line, and no second complaint that only follows from the first."""
    assert old in minimal

    assert problems(minimal.replace(old, new, 1)) == [line]


def test_an_empty_file_is_told_how_to_begin(problems):
    """Nothing, or comments alone."""
    line = "authproxy.yaml:1:1: the file is empty: begin with `version: 1`"

    assert problems("") == [line]
    assert problems("# nothing yet\n") == [line]


def test_a_file_that_is_no_map_is_told_how_to_begin(problems):
    """A list, or a word."""
    line = "authproxy.yaml:1:1: a configuration is a map of keys: begin with `version: 1`"

    assert problems("- version: 1\n") == [line]
    assert problems("hello\n") == [line]


def test_a_secret_that_everybody_can_read_is_refused_with_the_cure(load_text, minimal, tmp_path):
    """The line names key, file and chmod; the exit code is 77."""
    pepper = tmp_path / "pepper"
    pepper.write_bytes(bytes(range(32)))
    pepper.chmod(0o644)
    loaded = load_text(minimal)
    ref = loaded.settings.zones["api"].peppers[0]

    with pytest.raises(SecretError) as refused:
        read_pepper(ref, {}, where=loaded.where("zones", "api", "peppers", 0))

    assert refused.value.exit_code == 77
    assert str(refused.value) == (
        f"{tmp_path}/authproxy.yaml:5:42: zones.api.peppers[0]: {pepper}: everybody can read it (mode 0644): chmod 600 {pepper}"
    )


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(problems, minimal):
    """Misspelt keys, wrong values and unknown names together; what is wrong with one key hides nothing of another."""
    text = (
        minimal.replace("keystore: main", "keystore: mian, tls: {maximum: 3}")
        .replace("prefix: svc", "prefix: my_svc")
        .replace("upstream: legacy}", "upstream: legcay}, {path: x, upstream: legacy}, {path: /y, upstream: y}")
    )

    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in problems(text)] == [
        "authproxy.yaml:3:52: listeners.public.keystore",
        "authproxy.yaml:3:64: listeners.public.tls.maximum",
        "authproxy.yaml:5:27: zones.api.prefix",
        "authproxy.yaml:7:33: routes[0].upstream",
        "authproxy.yaml:7:49: routes[1].path",
        "authproxy.yaml:7:92: routes[2].upstream",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[{file: pepper}], catalog: users}}".replace("{file: pepper}", "s3cret-value"),
        "[{flie: s3cret-value}], catalog: users}}",
        "{file: s3cret-value}, catalog: users}}",
        "[[s3cret-value]], catalog: users}}",
    ],
)
def test_no_message_repeats_what_stands_where_a_secret_belongs(problems, minimal, text):
    """Whoever pastes a pepper into the file does not find it in a log too."""
    told = problems(minimal.replace("[{file: pepper}], catalog: users}}", text))

    assert told
    assert "s3cret" not in "".join(told)


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("path: /, allow: null", "routes[0].allow"),
        ("path: /, methods: ", "routes[0].methods"),
        ('path: /, max_body: "x", host: ', "routes[0].host"),
    ],
)
def test_a_key_without_a_value_is_not_as_if_it_were_not_there(problems, minimal, place, key):
    """A list of users that was commented out lets nobody in by mistake."""
    told = problems(minimal.replace("path: /", place))

    assert f" {key}: is empty: give it a value, or take the key away" in [line[line.index(" ") :] for line in told]


@pytest.mark.parametrize("kind", ["[file]", "{file: x}"])
def test_a_kind_that_is_no_word_beside_an_empty_key_is_told(problems, minimal, kind):
    """It ended in a traceback."""
    told = problems(minimal.replace("kind: file", f"kind: {kind}, poll: "))

    assert any(" catalogs.users" in line for line in told)


@pytest.mark.parametrize("text", ["${NOPE}", "${NOPE:?name a host}", "${NOPE"])
def test_a_value_that_could_not_be_had_is_not_told_as_missing_too(problems, minimal, text):
    """The key has a value: to be told to take it away would lead astray."""
    told = problems(f"{minimal}state: {text}\n")

    assert len(told) == 1
    assert "is empty" not in told[0]


def test_an_empty_list_of_listeners_is_not_all_of_them(problems, minimal):
    """A key whose default is filled in is no exception."""
    told = problems(minimal.replace("path: /", "path: /, listeners: "))

    assert told == ["authproxy.yaml:7:34: routes[0].listeners: must be a list, as in [a, b], is empty"]


def test_null_removes_a_header_and_is_no_mistake(problems, minimal):
    """The one place where nothing says something."""
    assert problems(minimal.replace("path: /", "path: /, headers: {request: {X-A: null}, response: {X-B: }}")) == []


@pytest.mark.parametrize(
    ("section", "held"),
    [
        ('limits: {fields: "${V}"}', "50"),
        ('limits: {connections: "${V}"}', "50"),
        ('limits: {failures_per_minute: "${V}"}', "50"),
        ("limits:\n  fields: ${V}", "50"),
        ('limits: {connections: "${V}"}', "auto"),
        ('limits: {failures_per_minute: "${V}"}', "off"),
        ('workers: "${V}"', "1"),
    ],
)
def test_a_variable_in_quotes_may_be_a_number(problems, minimal, section, held):
    """Within { } YAML demands the quotes; whoever obeys is not told to take them away."""
    assert problems(f"{minimal}{section}\n", V=held) == []


def test_a_variable_in_quotes_may_be_a_truth_value_and_stays_text_where_text_belongs(load_text, minimal):
    """It is the key that decides what it is."""
    text = minimal.replace("bind: 0.0.0.0:8443", 'bind: 0.0.0.0:8443, drop_unusual_names: "${FLAG}"')
    loaded = load_text(text.replace("prefix: svc", 'prefix: "${PREFIX}"'), FLAG="true", PREFIX="007")

    assert loaded.settings.listeners["public"].drop_unusual_names is True
    assert loaded.settings.zones["api"].prefix == "007"


@pytest.mark.parametrize("value", ["", "fifty", "5.5", "true", "50 "])
def test_a_variable_that_is_no_number_is_told(problems, minimal, value):
    """As any other text."""
    told = problems(f'{minimal}limits: {{fields: "${{V}}"}}\n', V=value)

    assert len(told) == 1
    assert told[0].startswith("authproxy.yaml:8:18: limits.fields: must be a whole number, unquoted")
