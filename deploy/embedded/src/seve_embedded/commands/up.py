"""`up`: starts the stack and waits until it is ready, or fails with the reason and leaves nothing running."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from nats.errors import Error as NatsError
from seve_runtime.errors import SeveError
from seve_runtime.units import is_loopback, reachable

from seve_embedded.commands import down
from seve_embedded.logins import PERSON, READER, WRITER
from seve_embedded.servers import mqtt_queue, nats, postgres
from seve_embedded.shared.disk import remaining
from seve_embedded.shared.logfile import tail
from seve_embedded.stack import SUPERVISOR, Stack
from seve_embedded.state import KNOWN_SESSION, WELL_KNOWN_CLIENT_ID
from seve_embedded.supervision import ports, processes, readiness
from seve_embedded.supervision.client import NoSupervisor
from seve_embedded.supervision.config import PYTHON_VARIABLE, SOCKET_VARIABLE, STATE_VARIABLE
from seve_embedded.supervision.disk_usage import room_at, size_of

POLL_SECONDS: Final = 0.1
SERVERS: Final = {"POSTGRES_PORT": "postgres", "NATS_PORT": "nats", "MQTT_LISTEN": "nats"}
Say = Callable[[str], None]


class NotReady(SeveError):
    """The stack did not come up; the text names the part and has the end of its log."""


@contextmanager
def alone(stack: Stack) -> Iterator[None]:
    """Hold the stack's lock: one command at a time changes a stack. Raises NotReady if another command holds it."""
    stack.state.make()
    with (stack.state.run / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady("another `up`, `down` or `scale` of this stack is at work") from None
        yield


def up(stack: Stack, say: Say) -> bool:
    """Start the stack and wait until it is ready; return whether it had to be started.

    Raises SettingsError for ports that are taken, NotReady if a part fails or is late; both leave nothing running.
    """
    if stack.supervised:
        _finish(stack, lambda _: None, time.monotonic())
        return False
    if stack.running:
        say("the supervisor is gone, its processes are not: stopping them first")
        down.stop_rest(stack)
    ports.check(stack.wanted.listeners)
    stack.mark_logs()
    try:
        _start(stack, say)
    except BaseException:
        down.down(stack)
        raise
    return True


def _start(stack: Stack, say: Say) -> None:
    began = time.monotonic()
    if not is_loopback(stack.settings.mqtt_listen) and stack.mqtt_client_id == WELL_KNOWN_CLIENT_ID:
        say(f"  warning: {KNOWN_SESSION}")
    _check_room(stack, say)
    _prepare_database(stack, say)
    stack.write()
    start_supervisor(stack)
    _finish(stack, say, began)


def _finish(stack: Stack, say: Say, began: float) -> None:
    """Bring a running supervisor's stack to readiness, including all that an interrupted `up` left undone."""
    _wait_servers(stack, say, began)
    if stopped := [state.name for state in stack.supervisor.states().values() if state.statename == "STOPPED"]:
        _setup(stack)
        _step(say, "streams and tables", began)
        for name in stopped:
            stack.supervisor.start(name)
    _wait_ready(stack, say, began)
    _bound_queue(stack)
    nats.sync_definitions(stack.state.nats_data)


def _check_room(stack: Stack, say: Say) -> None:
    """Warn if the disk is too small for the streams' largest size."""
    room, stored = room_at(stack.state.data, stack.state.postgres_data), size_of(stack.state.nats_data)
    if warning := room.warning(remaining(stack.stream_bytes, stored)):
        say(f"  warning: {warning}")


def _prepare_database(stack: Stack, say: Say) -> None:
    if not stack.state.postgres_data.exists():
        say("  making the database (first time only)")
    try:
        postgres.initialise(stack.state.postgres_data, stack.state.secret("postgres"))
    except subprocess.CalledProcessError as error:
        raise NotReady(f"the database could not be made: {error.stderr or error.stdout}") from error


def start_supervisor(stack: Stack) -> None:
    """Start the supervisor, detached from this terminal, and record its process."""
    stack.state.socket.unlink(missing_ok=True)
    environ = {
        **stack.environ,
        STATE_VARIABLE: str(stack.state.folder),
        SOCKET_VARIABLE: str(stack.state.socket),
        PYTHON_VARIABLE: sys.executable,
    }
    command = [sys.executable, "-m", "seve_embedded.supervision.daemon", "-n", "-c", str(stack.state.supervisor_config)]
    with stack.state.log("supervisor-start").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environ,
            cwd=stack.state.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    processes.record(stack.state.pids, SUPERVISOR, process.pid)


def _wait_servers(stack: Stack, say: Say, began: float) -> None:
    waiting = [(setting, host, port) for setting, host, port in stack.current.listeners if setting in SERVERS]
    while waiting:
        for listener in [listener for listener in waiting if _answers(*listener)]:
            _step(say, "mqtt" if listener[0] == "MQTT_LISTEN" else SERVERS[listener[0]], began)
            waiting.remove(listener)
        if waiting:
            late = {SERVERS[setting]: f"{setting} does not answer" for setting, _, _ in waiting}
            _check_progress(stack, began, late)
            time.sleep(POLL_SECONDS)


def _answers(setting: str, host: str, port: int) -> bool:
    asked = postgres.answers if setting == "POSTGRES_PORT" else ports.accepts
    return asked(reachable(host), port)


def _setup(stack: Stack) -> None:
    passwords = stack.logins.database
    try:
        postgres.make_roles(
            stack.setup_environ["DATABASE_URL"], passwords[WRITER], passwords[PERSON], passwords[READER]
        )
    except subprocess.CalledProcessError as error:
        raise NotReady(f"the database's roles could not be made: {error.stderr}") from error
    path = stack.state.log("setup")
    with path.open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-m", "seve_writer", "setup"],
            check=False,
            env=stack.setup_environ,
            stdout=log,
            stderr=log,
            timeout=stack.settings.start_timeout,
        )
    if done.returncode != 0:
        raise NotReady(f"`seve-writer setup` ended with code {done.returncode}:\n{tail(path)}")


def _wait_ready(stack: Stack, say: Say, began: float) -> None:
    todo = {program.name: program.admin_port for program in stack.current.programs if program.admin_port}
    while todo:
        answers = {name: readiness.ask(port) for name, port in todo.items()}
        for name in [name for name, answer in answers.items() if answer.ready]:
            _step(say, name, began)
            del todo[name]
        if todo:
            _check_progress(stack, began, {name: str(answers[name]) for name in todo})
            time.sleep(POLL_SECONDS)


def _bound_queue(stack: Stack) -> None:
    """Bound the devices' queue, which exists once ingest has connected."""
    where = stack.current.addresses
    try:
        mqtt_queue.bound(where.broker, stack.settings.mqtt_queue_max_bytes, where.nats["NATS_CA_FILE"])
    except (NatsError, TimeoutError) as error:
        raise NotReady(f"MQTT_QUEUE_MAX_BYTES = {stack.settings.mqtt_queue_max_bytes}: {error}") from error


def _check_progress(stack: Stack, began: float, waiting: dict[str, str]) -> None:
    """Raise NotReady if further waiting is useless: the supervisor died, gave a program up, or the time is over.

    `waiting` has the conditions that each late program waits for.
    """
    if not stack.supervised:
        raise NotReady(f"the supervisor died:\n{tail(stack.state.log('supervisor-start'))}")
    try:
        states = stack.supervisor.states()
    except NoSupervisor:
        states = {}
    for state in states.values():
        if state.given_up:
            text = stack.log_tail(state.name)
            raise NotReady(f"{state.name} stopped with exit code {state.exitstatus}:\n{text}")
    if time.monotonic() - began > stack.settings.start_timeout:
        parts = [f"{name}: {reason}\n{stack.log_tail(name)}" for name, reason in waiting.items()]
        raise NotReady("\n".join([f"not ready after START_TIMEOUT = {stack.settings.start_timeout:g} s", *parts]))


def _step(say: Say, name: str, began: float) -> None:
    say(f"  {name:<20} ready  {time.monotonic() - began:5.1f} s")
