"""Wrong requests over every surface: each is refused in words that help, changes nothing, and takes no one else down.

    python3 tests/wrong_requests.py [PART OF A LINE]

A case is a line in one of the tables below: what is sent or typed, the error word or exit code it must be answered with,
and what the message must name: the field, its value, and what is allowed. For every case the program also checks that
the message holds nothing of the programming language, that the server's state hash is what it was, and that another
connection's next command works. Prints a line for each case.
"""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from longshore import Home, Server, program, run, until  # noqa: E402
from resp import Client, Disconnected, ReplyError, encode  # noqa: E402

# What only a programmer of the server could read.
FOREIGN = re.compile(
    r"Some\(|\bNone\b|\bOk\(|\bErr\(|Error\b ?[({]|\w+ \{ \w+:|\b[ui](8|16|32|64|128|size)\b|\bf(32|64)\b|\bVec\b|Option<|"
    r"serde|unwrap|panick|src/|\.rs\b|::|os error|invalid digit|\bstruct\b|\benum\b|\bvariant\b|RUST_|clap|tokio"
)
HOUR_MS = 3_600_000
LONG = "x" * 256
PASSWORD = "correct horse"
UNIT = "a number with a unit"
# 32 tags of 255 bytes.
TAGGED = json.dumps({"tags": [f"{at:0255}" for at in range(32)]})
STATES = "waiting, delayed, active, waiting-children, completed, dead, cancelled"


def options(**fields):
    """A JOB.ADD with these options."""
    return ["JOB.ADD", "q", "send", "1", json.dumps(fields)]


# The requests of well-behaved clients, with one thing wrong: arguments, error word, what the message names.
# In arguments, {waiting} and so on are the numbers of jobs in that state, {token} the lease token of the active one.
REQUESTS = [
    (["JOB.ADDD", "q"], "ERR", ["unknown command 'JOB.ADDD'", "'q'"]),
    (["JOB.ADD", "q"], "BADARG", ["name is missing", "JOB.ADD queue name payload [options]"]),
    (["JOB.ADD", "q", "n", "1", "{}", "more"], "BADARG", ["argument is more", "usage: JOB.ADD"]),
    (["JOB.ADD", "", "n", "1"], "BADARG", ["queue is empty", "1 to 255 bytes"]),
    (["JOB.ADD", LONG, "n", "1"], "BADARG", ["queue is xxx", "1 to 255 bytes"]),
    (["JOB.ADD", b"q\xff", "n", "1"], "BADARG", ["queue is q", "UTF-8"]),
    (["JOB.ADD", "q", "a\nb", "1"], "BADARG", ["name is a b", "without control characters"]),
    (["JOB.ADD", "q", "n", "x" * (1 << 20) + "x"], "BADARG", ["payload is 1048577 bytes", "at most 1048576 bytes"]),
    (["JOB.ADD", "q", "n", "1", "{"], "BADARG", ["options is {", "a JSON object"]),
    (["JOB.ADD", "q", "n", "1", "[]"], "BADARG", ["options is []", "a JSON object"]),
    (["JOB.ADD", "q", "n", "1", '{"id":"a","id":"b"}'], "BADARG", ["options is {", "each field at most once"]),
    (["JOB.ADD", "q", "n", "1", "[" * 5_000], "BADARG", ["options is [[[", "a JSON object"]),
    (options(atempts=5), "BADARG", ["atempts", "id, delay_ms", "attempts"]),
    (options(attempts="many"), "BADARG", ['attempts is "many"', "an integer from 1 to 10000"]),
    (options(attempts=0), "BADARG", ["attempts is 0", "an integer from 1 to 10000"]),
    (options(attempts=1.5), "BADARG", ["attempts is 1.5", "an integer from 1 to 10000"]),
    (options(attempts=10**30), "BADARG", ["attempts is 1", "an integer from 1 to 10000"]),
    (options(priority=-1001), "BADARG", ["priority is -1001", "an integer from -1000 to 1000"]),
    (options(delay_ms="5s"), "BADARG", ['delay_ms is "5s"', "milliseconds"]),
    (options(delay_ms=10**15), "BADARG", ["delay_ms is 1000000000000000", "milliseconds", "10 years"]),
    (options(delay_ms=5, run_at_ms=7), "BADARG", ["run_at_ms is 7", "either delay_ms or run_at_ms"]),
    (options(backoff={"kind": "linear", "delay_ms": 5}), "BADARG", ["backoff is {", "linear", "fixed or exponential"]),
    (options(backoff={"kind": "fixed", "delay_ms": 5, "jitter_percent": 101}), "BADARG", ["jitter_percent is 101", "100"]),
    (options(id="42"), "BADARG", ["id is 42", "not a digit"]),
    (options(tags=["t"] * 33), "BADARG", ["tags is t t", "at most 32"]),
    (options(headers={"a": 5}), "BADARG", ['headers is {"a":5}', "an object of texts"]),
    (options(headers={"a": "x" * 9_000}), "BADARG", ["headers is 9001 bytes", "at most 8192 bytes"]),
    (["JOB.MADD", "q", "10001", *["n", "1", "="] * 10_001], "BADARG", ["jobs is a list of 10001", "1 to 10000 jobs"]),
    (["JOB.MADD", "q", "many", "n", "1", "{}"], "BADARG", ["count is many", "an integer"]),
    (["JOB.MADD", "q", "2", "n", "1", "{}"], "BADARG", ["name is missing", "usage: JOB.MADD"]),
    (["JOB.MADD", "q", "2", "n", "1", "{}", "n", "1", '{"lifo":1}'], "BADARG", ["lifo is 1", "true or false"]),
    (["JOB.MADD", "q", "17", *["n", "x" * (1 << 20), "{}"] * 17], "BADARG", ["17825792 bytes", "16777216"]),
    (["JOB.MADD", "q", "10000", "n", "1", TAGGED, *["n", "1", "="] * 9_999], "BADARG", ["81610000 bytes", "16777216"]),
    (["JOB.LEASE", "w", "COUNT", "1001", "QUEUES", "q"], "BADARG", ["count is 1001", "1 to 1000 jobs"]),
    (["JOB.LEASE", "w", "BLOCK", "1h", "QUEUES", "q"], "BADARG", ["BLOCK is 1h", "an integer"]),
    (["JOB.LEASE", "w", "BLOCK", "3600001", "QUEUES", "q"], "BADARG", ["BLOCK is 3600001", "0 to 3600000 (1 h)"]),
    (["JOB.LEASE", "w", "LEASE", "50", "QUEUES", "q"], "BADARG", ["lease_ms is 50", "100 to 86400000"]),
    (["JOB.LEASE", "w"], "BADARG", ["QUEUES is missing", "usage: JOB.LEASE"]),
    (["WORKER.GET", "nobody"], "NOWORKER", ["no worker nobody"]),
    (["WORKER.LIST", "COUNT", "0"], "BADARG", ["count is 0", "1 to 1000"]),
    (["WORKER.QUIET"], "BADARG", ["worker is missing", "usage: WORKER.QUIET worker"]),
    (["WORKER.RESUME", "nobody"], "NOWORKER", ["no worker nobody"]),
    (["WORKER.STOP", "nobody", "NOW"], "BADARG", ["argument is NOW", "usage: WORKER.STOP"]),
    (["WORKER.STOP", "nobody", "REASON", "x" * 1_001], "BADARG", ["reason is 1001 bytes", "at most 1000"]),
    (["JOB.COMPLETE", "{active}"], "BADARG", ["token is missing", "usage: JOB.COMPLETE"]),
    (["JOB.COMPLETE", "{active}", "garbage"], "BADARG", ["token is garbage", "EPOCH-COUNTER"]),
    (["JOB.COMPLETE", "{active}", "{old_token}"], "STALE", ["token {old_token}", "job #{active}"]),
    (["JOB.COMPLETE", "{dead}", "{token}"], "STALE", ["token {token}", "job #{dead}"]),
    (["JOB.RELEASE", "{waiting}", "{token}"], "STALE", ["token {token}", "job #{waiting}"]),
    (["JOB.SNOOZE", "{active}", "{token}", "5s"], "BADARG", ["delay_ms is 5s", "an integer from 0"]),
    (["JOB.FAIL", "{active}", "{token}", "exit", "text", "LAST"], "BADARG", ["argument is LAST", "[FINAL]"]),
    (["JOB.LOG", "{active}", "{old_token}", "OUT", "line"], "STALE", ["token {old_token}", "job #{active}"]),
    (["JOB.LOG", "{active}", "{token}", "BOTH", "line"], "BADARG", ["source is BOTH", "OUT or ERR"]),
    (["JOB.PROGRESS", "{active}", "{token}", "x" * 5_000], "BADARG", ["progress is 5000 bytes", "at most 4096 bytes"]),
    (["JOB.SETTLE", "1", "DONE", "{active}", "{token}"], "BADARG", ["outcome is DONE", "COMPLETE, RESULT, FAIL"]),
    (["WORKER.BEAT", "{}"], "BADARG", ["worker is empty", "1 to 255 bytes"]),
    (["WORKER.BEAT", '{"worker":"w","host":"' + "x" * 256 + '"}'], "BADARG", ["host is xxx", "at most 255 bytes"]),
    (["JOB.GET", "99999"], "NOJOB", ["no job #99999"]),
    (["JOB.GET", "order-1"], "NOJOB", ["no job order-1"]),
    (["JOB.LIST", '{"states":["done"]}'], "BADARG", ['states is ["done"]', STATES]),
    (["JOB.LIST", '{"quue":"q"}'], "BADARG", ["quue", "queue, states"]),
    (["JOB.LIST", '{"tag":"' + "x" * 256 + '"}'], "BADARG", ["filter.tag is xxx", "at most 255 bytes"]),
    (["JOB.LIST", "{}", "COUNT", "0"], "BADARG", ["count is 0", "1 to 1000 rows"]),
    (["JOB.LIST", "{}", "CURSOR", "there"], "BADARG", ["cursor is there", "the cursor of the page before"]),
    (["JOB.WAIT", "{waiting}", "5s"], "BADARG", ["timeout_ms is 5s", "an integer"]),
    (["JOB.WAIT", "{waiting}", "0"], "TIMEOUT", ["#{waiting}"]),
    (["EVENTS.READ", "yesterday"], "BADARG", ["cursor is yesterday", "the cursor of the page before"]),
    (["QUEUE.GET", "nowhere"], "NOQUEUE", ["no queue nowhere"]),
    (["QUEUE.LIST", "COUNT", "1001"], "BADARG", ["count is 1001", "1 to 1000 rows"]),
    (["QUEUE.CONFIG", "1001", *[text for at in range(1_001) for text in (f"q{at}", "{}")]], "BADARG",
     ["queues is a list of 1001", "at most 1000 queues"]),
    (["QUEUE.CONFIG", "2", "q", "{}", "q", "{}"], "BADARG", ["queues is q", "each queue once"]),
    (["OPERATION.START", "cancel", '{"name":"' + "x" * 256 + '"}'], "BADARG", ["filter.name is xxx", "at most 255 bytes"]),
    (["QUEUE.PAUSE", "nowhere"], "NOQUEUE", ["no queue nowhere"]),
    (["QUEUE.SET", "q", '{"lease_ms":5}'], "BADARG", ["lease_ms is 5", "from 100 to 86400000"]),
    (["QUEUE.SET", "q", '{"lease":"5s"}'], "BADARG", ["lease", "lease_ms"]),
    (["QUEUE.SET", "q", '{"attempts":3,"stalls":-1}'], "BADARG", ["stalls is -1", "from 0 to 10000"]),
    (["QUEUE.PAUSE", "q", "REASON", "x" * 1_001], "BADARG", ["reason is 1001 bytes", "at most 1000 bytes"]),
    (["OPERATION.START", "explode", "{}"], "BADARG", ["verb is explode", "promote, cancel, retry or remove"]),
    (["OPERATION.GET", "99"], "NOOPERATION", ["no operation 99"]),
    (["JOB.RESCHEDULE", "{waiting}", "DELAY", "soon"], "BADARG", ["DELAY is soon", "an integer from 0"]),
    (["JOB.EDIT", "{waiting}"], "BADARG", ["edit is empty", "a payload, a priority, or both"]),
    (["CLIENT", "NOPE"], "ERR", ["unknown subcommand 'NOPE'", "CLIENT HELP"]),
    (["HELLO", "7"], "NOPROTO", ["unsupported protocol version"]),
    (["HELLO", "3", "SETNAME", "x" * 300], "ERR", ["Client names cannot contain", "255 bytes"]),
    (["CLIENT", "SETNAME", "x" * 300], "ERR", ["Client names cannot contain", "255 bytes"]),
    (["JOB.CANCEL", "{waiting}", "QUEUE", "elsewhere"], "BADARG", ["queue is elsewhere", "only beside an id"]),
]

# Verbs that a job's state refuses: verb with its arguments, state.
REFUSED_VERBS = [
    (["JOB.PROMOTE"], "waiting"),
    (["JOB.PROMOTE"], "completed"),
    (["JOB.RESCHEDULE", "DELAY", "5"], "active"),
    (["JOB.RESCHEDULE", "DELAY", "5"], "dead"),
    (["JOB.EDIT", "PRIORITY", "5"], "active"),
    (["JOB.EDIT", "PRIORITY", "5"], "cancelled"),
    (["JOB.CANCEL"], "completed"),
    (["JOB.CANCEL"], "dead"),
    (["JOB.RETRY"], "waiting"),
    (["JOB.RETRY"], "active"),
    (["JOB.REMOVE"], "active"),
]

# What no client library would send: bytes, what the message names. All answer ERR and end the connection.
RAW = [
    (b"*1\r\n+PING\r\n", ["expected '$', got '+'"]),
    (b"*many\r\n", ["multibulk length 'many'", "0 to 1048576"]),
    (b"*99999999999\r\n", ["multibulk length '99999999999'", "0 to 1048576"]),
    (b"*1\r\n$abc\r\n", ["bulk length 'abc'", "0 to 16777216"]),
    (b"*1\r\n$-5\r\n", ["bulk length '-5'", "0 to 16777216"]),
    (b"*1\r\n$99999999999\r\n", ["bulk length '99999999999'", "0 to 16777216"]),
    (b"*1\r\n$4\r\nPINGPONG\r\n", ["expected CRLF"]),
    (b"*1\r\n$" + b"1" * 70_000, ["too big bulk count string"]),
    (b"P" * 70_000, ["too big inline request", "65536 bytes"]),
    (b'ECHO "half\r\n', ["unbalanced quotes"]),
]

# At a server with a password: requests, error word, what the message names.
STRANGERS = [
    (["JOB.ADD", "q", "n", "1"], "NOAUTH", ["Authentication required"]),
    (["AUTH", "wrong"], "WRONGPASS", ["invalid username-password pair"]),
    (["HELLO", "3", "AUTH", "default", "wrong"], "WRONGPASS", ["invalid username-password pair"]),
    (["HELLO", "3", "AUTH", "default", PASSWORD, "MORE"], "ERR", ["HELLO option 'MORE'"]),
    (["JOB.ADD", "q", "n", "x" * 20_000], "ERR", ["unauthenticated bulk length"]),
]

# The command line, without `longshore --engine URL`: words, exit code, what standard error names.
COMMAND_LINES = [
    (["enqueue", "q", "n", "--delay", "30"], 2, ["--delay is 30", UNIT]),
    (["enqueue", "q", "n", "--priority", "5000"], 2, ["--priority is 5000", "-1000 to 1000"]),
    (["enqueue", "q", "n", "--attempts", "many"], 2, ["--attempts is many", "1 to 10000"]),
    (["enqueue", "q", "n", "--backoff", "5s"], 2, ["--backoff is 5s", "fixed:DELAY"]),
    (["enqueue", "q", "n", "--at", "tomorrow"], 2, ["--at is tomorrow", "2026-12-01T10:00:00Z"]),
    (["enqueue", "q", "n", "--id", "42"], 2, ["--id is 42", "not a digit"]),
    (["enqueue", "q", "n", "{to: ann}"], 2, ["PAYLOAD is {to: ann}", "JSON", "--raw"]),
    (["enqueue", "q", "n", "@nowhere.json"], 2, ["cannot read nowhere.json", "no such file"]),
    (["enqueue", "q", "--file", "wrong.ndjson"], 2, ["line 2: ", "atempts", "attempts", "nothing was sent"]),
    (["enqueue", "q", "n", "--pririty", "5"], 2, ["--pririty", "--priority"]),
    (["job", "lst"], 2, ["'lst'", "'list'", "longshore job --help"]),
    (["job", "list", "--state", "done"], 2, ["--state is done", STATES]),
    (["job", "show"], 2, ["<JOB>", "longshore job show --help"]),
    (["queue", "set", "q", "attempts=0"], 2, ["attempts is 0", "1 to 10000"]),
    (["queue", "set", "q", "lease=30"], 2, ["lease is 30", UNIT]),
    (["queue", "set", "q", "atempts=5"], 2, ["atempts", "attempts, backoff"]),
    (["dead", "purge"], 2, ["for good", "--yes"]),
    (["stats", "--engine", "localhost"], 2, ["engine is localhost", "longshore://HOST:PORT"]),
    (["watch", "--from", "yesterday"], 1, ["cursor is yesterday", "the cursor of the page before"]),
    (["job", "promote", "{waiting}"], 1, ["job #{waiting} is waiting", "promote needs delayed"]),
    (["job", "remove", "{active}"], 1, ["job #{active} is active", "any state but active, or force"]),
    (["job", "show", "99999"], 3, ["no job #99999", "longshore job list"]),
    (["job", "retry", "order-1"], 3, ["no job order-1", "longshore job list"]),
    (["queue", "show", "nowhere"], 3, ["no queue nowhere", "longshore queue list"]),
    (["queue", "pause", "nowhere"], 3, ["no queue nowhere", "longshore queue list"]),
    (["job", "wait", "{waiting}", "--timeout", "10ms"], 7, ["#{waiting}"]),
]
# The same, to an address where no server is.
TO_NOBODY = [
    (["stats"], 4, ["cannot reach longshore://127.0.0.1:", "refused", "longshore dev", "--engine or LONGSHORE_ENGINE"]),
    (["enqueue", "q", "n"], 4, ["cannot reach longshore://127.0.0.1:", "refused", "longshore-server"]),
]
# The same, to the server with a password.
TO_CLOSED = [
    ("longshore://127.0.0.1:{port}", ["stats"], 1, ["password", "--engine or LONGSHORE_ENGINE"]),
    ("longshore://:wrong@127.0.0.1:{port}", ["stats"], 1, ["password", "--engine or LONGSHORE_ENGINE"]),
]

QUEUES = "[queues]\nq = 1\n"
# Handlers files, for `longshore-worker --check`: text, what standard error names. All exit with 1.
HANDLERS = [
    (QUEUES + "[handlers.a]\n", [":3:", "handlers.a has no command", "command = ["]),
    (QUEUES + '[handlers.a]\ncommand = "true"\n', [":4:", 'handlers.a.command is "true"', "a list"]),
    (QUEUES + "[handlers.a]\ncommand = []\n", [":4:", "handlers.a.command is []", "a list"]),
    (QUEUES + '[handlers.a]\ncommand = ["./nowhere"]\n', [":4:", "handlers.a.command", "nowhere is not there"]),
    (QUEUES + '[handlers.a]\ncommand = ["./plain"]\n', [":4:", "handlers.a.command", "not executable", "chmod +x"]),
    (QUEUES + '[handlers.a]\ncommand = ["no-such-program"]\n', [":4:", "no-such-program is not on PATH"]),
    (QUEUES + '[handlers.a]\ncommand = ["true"]\ntimeout = "30"\n', [":5:", "timeout is 30", UNIT]),
    (QUEUES + '[handlers.a]\ncommand = ["true"]\ntimout = "30s"\n', [":5:", "timout", "command, timeout, env"]),
    (QUEUES + '[handlers.a]\ncommand = ["true"]\nenv = { LONGSHORE_JOB = "1" }\n', [":5:", "LONGSHORE_JOB"]),
    (QUEUES + '[handlers."r/a"]\ncommand = ["true"]\n', [":3:", "r/a", "it names: q"]),
    ('[handlers.a]\ncommand = ["true"]\n', [":1:", "[queues] is missing", "default = 1"]),
    (QUEUES, [":1:", "[handlers.NAME] is missing"]),
    ("concurency = 5\n" + QUEUES, [":1:", "concurency", "concurrency"]),
    ("concurrency = 0\n" + QUEUES, [":1:", "concurrency is 0", "1 to 10000"]),
    ("grace = 25\n" + QUEUES, [":1:", "grace is 25", UNIT]),
    ("[queues]\nq = 0\n", [":2:", "queues.q is 0", "1 to 1000"]),
    ("concurrency = \n", [":1:"]),
    ("engine = \"localhost\"\n" + QUEUES + '[handlers.a]\ncommand = ["true"]\n', ["engine is localhost", "longshore://"]),
]
# Flags of the worker: flags, exit code, what standard error names.
WORKER_FLAGS = [
    (["--config", "nowhere.toml"], 1, ["nowhere.toml", "no such file", "longshore init"]),
    (["--concurrency", "0"], 2, ["0", "--concurrency", "1..=10000"]),
    (["--grace", "25"], 2, ["25", "--grace", UNIT]),
    (["--config"], 2, ["--config"]),
]
# Files of the server: text, what standard error names. All exit with 1.
SERVER_FILES = [
    ("listen = 7600\n", [":1:", "listen is 7600", "a text in quotes"]),
    ("\nport = 7600\n", [":2:", "port", "engine, data, listen"]),
    ('fsync = "often"\n', [":1:", "fsync is often", "always, everysec or no"]),
    ('max-memory = "512"\n', [":1:", "max-memory is 512", "512mb"]),
    ('segment-bytes = "1kb"\n', [":1:", "segment-bytes is 1kb", "from 64kb to 1gb"]),
    ('compact-after = "none"\n', [":1:", "compact-after is none", "512mb"]),
    ('history = "1"\n', [":1:", "history is 1", "or none"]),
    ("[queues.q]\nlease = 30\n", [":2:", "queues.q", "lease is 30", UNIT]),
    ("[queues.q]\natempts = 5\n", [":2:", "queues.q", "atempts", "attempts"]),
    ("[queues]\nq = 5\n", [":2:", "queues.q is 5", "a table of settings"]),
    ("listen = \n", [":1:"]),
]
# Flags of the server: flags, exit code, what standard error names.
SERVER_FLAGS = [
    (["--fsync", "often"], 2, ["often", "--fsync", "always, everysec or no"]),
    (["--max-memory", "512"], 2, ["512", "--max-memory", "512mb"]),
    (["--segment-bytes", "2gb"], 2, ["2gb", "--segment-bytes", "from 64kb to 1gb"]),
    (["--compact-after", "1"], 2, ["1", "--compact-after", "512mb"]),
    (["--history", "all"], 2, ["all", "--history", "or none"]),
    (["--engine", "postgres://host/db"], 2, ["postgres", "log:DIR or memory:", "give that URL to clients"]),
    (["--engine", "memory:", "--data", "d"], 2, ["--engine", "--data", "cannot be used with"]),
    (["--listen", "nowhere", "--data", "d"], 1, ["listen is nowhere", "HOST:PORT"]),
    (["--listen", "0.0.0.0:0", "--data", "d"], 1, ["listen is 0.0.0.0:0", "--password-file"]),
    (["--listen", "127.0.0.1:{port}", "--data", "d"], 1, ["127.0.0.1:{port}", "in use", "--listen HOST:PORT"]),
    (["--listen", "127.0.0.1:0", "--admin", "none", "--data", "{data}"], 1, ["{data}", "in use", "one owner"]),
    (["--password-file", "nowhere", "--data", "d"], 1, ["nowhere", "o such file"]),
    (["--config", "nowhere.toml"], 1, ["nowhere.toml", "o such file"]),
]


class World:
    """Two servers, of which one wants a password, with a job in each state; and what the tables' braces stand for."""

    def __init__(self, home):
        self.home, self.server = home, home.server().start()
        self.other = self.server.client()
        (home.path / "closed").mkdir()
        (home.path / "password").write_text(PASSWORD + "\n")
        self.closed = Server(home.path / "closed", ["--password-file", str(home.path / "password")])
        home.started.append(self.closed)
        self.closed.launch()
        self.names = {"port": self.server.port, "data": self.server.data, **self.jobs()}
        self.connect_again()
        self.write("plain", "not a program\n")
        self.write("wrong.ndjson", '{"name":"n","payload":1}\n{"name":"n","atempts":5}\n')

    def write(self, name, text):
        (self.home.path / name).write_text(text)
        return name

    def jobs(self):
        """A job in each state, and both tokens of the active one, whose first lease ran out."""
        call, names = self.other.call, {}

        def add(state, **fields):
            names[state] = call("JOB.ADD", "q", "send", '"wrong"', json.dumps(fields))[0]
            return names[state]

        def lease(length_ms=24 * HOUR_MS):
            return call("JOB.LEASE", "w", "LEASE", length_ms, "BLOCK", 10_000, "QUEUES", "q")[0][:2]

        add("completed")
        call("JOB.COMPLETE", *lease())
        add("dead")
        call("JOB.FAIL", *lease(), "exit", "exit status 65", "FINAL")
        add("active")
        names["old_token"] = lease(length_ms=100)[1]
        names["token"] = lease()[1]
        add("waiting")
        add("delayed", delay_ms=24 * HOUR_MS)
        call("JOB.CANCEL", add("cancelled"))
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in names.items()}

    def fill(self, text):
        """Puts numbers and tokens in place of their names; other braces are JSON and stay."""
        if not isinstance(text, str):
            return text
        return re.sub(r"\{(\w+)\}", lambda found: str(self.names.get(found[1], found[0])), text)

    def known_at_closed(self):
        """A connection that gave the password to the server that wants one, once that serves."""
        client = self.closed.client()
        client.call("AUTH", PASSWORD)
        until(lambda: b"loading:0" in client.call("INFO", "persistence"), "the server with a password serves")
        return client

    def connect_again(self):
        self.other, self.insider = self.server.client(), self.known_at_closed()
        self.hashes = {who: self.state_hash(who) for who in (self.other, self.insider)}

    def state_hash(self, who):
        return who.json("STATS")["state_hash"]


class Answer:
    """What came back: an error word or an exit code, and a message."""

    def __init__(self, verdict, message):
        self.verdict, self.message = verdict, message


def request(world, port, arguments):
    with Client(port, timeout=30) as client:
        return as_answer(client.pipeline([[world.fill(argument) for argument in arguments]])[0])


def as_answer(reply):
    if isinstance(reply, ReplyError):
        return Answer(reply.word, reply.message)
    return Answer("no error", repr(reply))


def raw(world, data):
    with Client(world.server.port, timeout=30) as client:
        client.send(data)
        answer = as_answer(client.reply())
        if not client.is_closed():
            return Answer("not closed", answer.message)
        return answer


def program_run(world, name, arguments):
    words = [program(name), *map(world.fill, arguments)]
    ended = run(words, cwd=world.home.path)
    return Answer(ended.code, ended.err)


def longshore(world, url, words):
    return program_run(world, "longshore", ["--engine", url, *words])


def free_port(world):
    """A port where nobody listens: that of a server which has ended."""
    folder = world.home.path / "gone"
    folder.mkdir()
    server = Server(folder).launch()
    server.stop()
    return server.port


def cases(world):
    """Every case as (surface, what, the call, word or exit code, what the message names)."""
    port, url = world.server.port, world.server.url
    for arguments, word, names in REQUESTS:
        yield "protocol", show(arguments), lambda a=arguments: request(world, port, a), word, names
    for (verb, *rest), state in REFUSED_VERBS:
        needs = [f"job #{{{state}}} is {state}", verb.removeprefix("JOB.").lower(), "needs"]
        arguments = [verb, f"{{{state}}}", *rest]
        yield "protocol", f"{show(arguments)}", lambda a=arguments: request(world, port, a), "STATE", needs
    for data, names in RAW:
        yield "bytes", repr(data[:40])[1:], lambda d=data: raw(world, d), "ERR", names
    for arguments, word, names in STRANGERS:
        yield "stranger", show(arguments), lambda a=arguments: request(world, world.closed.port, a), word, names
    yield from programs(world, url)


def programs(world, url):
    for words, code, names in COMMAND_LINES:
        yield "longshore", show(words), lambda w=words: longshore(world, url, w), code, names
    nobody = f"longshore://127.0.0.1:{free_port(world)}"
    for words, code, names in TO_NOBODY:
        yield "longshore", f"{show(words)} (no server)", lambda w=words: longshore(world, nobody, w), code, names
    for closed, words, code, names in TO_CLOSED:
        closed = closed.replace("{port}", str(world.closed.port))
        what = f"--engine {closed} {show(words)}"
        yield "longshore", what, lambda u=closed, w=words: longshore(world, u, w), code, names
    files = [("longshore-worker", text, names, ["--check"]) for text, names in HANDLERS]
    files += [("longshore-server", text, names, ["--data", "d", "--admin", "none"]) for text, names in SERVER_FILES]
    for name, text, names, flags in files:
        yield name, show([text.removeprefix(QUEUES).strip()]), lambda n=name, t=text, f=flags: with_file(world, n, t, f), 1, names
    flags = [("longshore-worker", *case) for case in WORKER_FLAGS] + [("longshore-server", *case) for case in SERVER_FLAGS]
    for name, words, code, names in flags:
        yield name, show(words), lambda n=name, w=words: program_run(world, n, w), code, names


def with_file(world, name, text, flags):
    world.write("file.toml", text)
    return program_run(world, name, ["--config", "file.toml", *flags])


def show(words):
    """A request on one line, cut."""
    texts = [word if isinstance(word, str) else repr(word)[2:-1] for word in words]
    text = " ".join(text if len(text) <= 80 else text[:20] + "…" for text in texts)
    return text.strip().replace("\n", "⏎")


def faults(world, answer, expected, names):
    """What is wrong with an answer; nothing if it is as it should be."""
    if answer.verdict != expected:
        yield f"answered {answer.verdict}, not {expected}"
    for name in map(world.fill, names):
        if name not in answer.message:
            yield f"does not say: {name}"
    if found := FOREIGN.search(answer.message):
        yield f"says {found[0]!r}, which only a programmer understands"
    if any(ord(letter) < 32 and letter != "\n" for letter in answer.message):
        yield "holds control characters"
    try:
        if world.other.json("JOB.GET", world.names["waiting"])["name"] != "send":
            yield "another connection got a wrong answer"
        # Both servers: each case is sent to one of them, and neither may have noticed.
        for who, before in world.hashes.items():
            if who.call("PING") != b"PONG":
                yield "another connection got a wrong answer"
            world.hashes[who] = world.state_hash(who)
            if world.hashes[who] != before:
                yield "the state changed"
    except (Disconnected, ReplyError) as error:
        yield f"another connection's next command failed: {error}"
        world.connect_again()


def main():
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    passed = failed = 0
    with Home("wrong") as home:
        world = World(home)
        for surface, what, call, expected, names in cases(world):
            if part not in f"{surface} {what}":
                continue
            try:
                answer = call()
            except Disconnected as error:
                answer = Answer("no answer", str(error))
            wrong = list(faults(world, answer, expected, names))
            failed, passed = failed + bool(wrong), passed + (not wrong)
            print(f"{'FAULT' if wrong else 'ok':5} {surface:16} {expected!s:9} {what}")
            for fault in wrong:
                print(f"      {fault}\n      in: {answer.message.strip()[:400]}")
        assert world.server.process.running() and world.closed.process.running(), "a server ended"
        assert world.server.stop() == 0 and world.closed.stop() == 0, "a server did not stop well"
    print(f"{passed} passed, {failed} failed")
    if passed + failed == 0:
        print(f"no case has {part!r} in its line")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
