"""One process at a time: locks on open files, as far as there are any."""

from __future__ import annotations

import errno

try:
    import fcntl
except ImportError:  # Windows has other locks
    fcntl = None

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL)  # of some network file systems


def take(descriptor: int, shared: bool = False) -> bool:
    """Lock an open file or folder until it is closed: whether no other process has it locked.

    shared: others may have it locked so too. Where there are no locks, nobody has it.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
