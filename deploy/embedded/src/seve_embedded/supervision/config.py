"""Builds the supervisor's configuration. Pure. It contains neither the project's path nor a secret, because the
supervisor would interpret some of their characters: a folder may be called `50% off; #1`. So the supervisor runs in the
state folder.
"""

from collections.abc import Iterable
from typing import Final

from seve_embedded.plan import EXIT_BAD_SETTINGS, Program

STATE_VARIABLE: Final = "SEVE_STATE"
PYTHON_VARIABLE: Final = "SEVE_PYTHON"
SOCKET_VARIABLE: Final = "SEVE_SOCKET"

_HEAD: Final = """\
[supervisord]
nodaemon = true
silent = true
logfile = logs/supervisor.log
logfile_maxbytes = 5MB
logfile_backups = 2
pidfile = run/supervisor.pid
childlogdir = logs
umask = 077
minfds = {files}
minprocs = 1
{user}

[unix_http_server]
file = %(ENV_{socket})s
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM: Final = """
[program:{name}]
command = /bin/sh -c 'exec "${python}" -m seve_embedded.launch {name}'
autostart = {autostart}
priority = {priority}
autorestart = {autorestart}
exitcodes = {exitcodes}
startsecs = 0
stopsignal = {stop_signal}
stopwaitsecs = {stop_seconds}
killasgroup = true
redirect_stderr = true
stdout_logfile = logs/{name}.log
stdout_logfile_maxbytes = 20MB
stdout_logfile_backups = 3
"""


def render(programs: Iterable[Program], *, root: bool, files: int) -> str:
    """Return the configuration file. `files` is how many files each process may open.

    A program that dies is always restarted (`launch` limits how often), except a service whose settings cannot be used.
    Services are started when `setup` is done.
    """
    head = _HEAD.format(socket=SOCKET_VARIABLE, files=files, user="user = root" if root else "")
    parts = [
        _PROGRAM.format(
            name=program.name,
            python=PYTHON_VARIABLE,
            priority=program.priority,
            autostart="true" if program.server else "false",
            autorestart="true" if program.server else "unexpected",
            exitcodes=EXIT_BAD_SETTINGS,
            stop_signal=program.stop_signal,
            stop_seconds=program.stop_seconds,
        )
        for program in programs
    ]
    return head + "".join(parts)
