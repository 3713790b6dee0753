"""The C library and raw system calls, reached by ctypes; every kernel wrapper stands on this.

`libc` lets go of the interpreter lock during a call, `pylibc` keeps it: a fork-like call must use the latter (see `process`).
"""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
pylibc = ctypes.PyDLL(None, use_errno=True)

MACHINE = os.uname().machine
IS_ARM64 = MACHINE == "aarch64"

# c_void_p takes ints, None, bytes, arrays and byref() alike, and widens ints to 64 bits (a bare ctypes int is 32).
_syscall = libc.syscall
_syscall.argtypes = [ctypes.c_long] + [ctypes.c_void_p] * 6
_syscall.restype = ctypes.c_long


def failure(call: str, path: str = "") -> OSError:
    """The OSError for the errno of the last call through `libc` or `pylibc`."""
    number = ctypes.get_errno()
    text = f"{call}: {os.strerror(number)}"
    return OSError(number, text, path) if path else OSError(number, text)


def check(ret: int, call: str, path: str = "") -> int:
    """`ret`, or the OSError of errno (naming call and path) when it is negative."""
    if ret < 0:
        raise failure(call, path)
    return ret


def syscall(nr: int, *args: object) -> int:
    """syscall(2) with up to six arguments: ints, bytes, None, ctypes arrays or byref(). Returns -1 on failure: see `check`."""
    result: int = _syscall(nr, *args, *(0,) * (6 - len(args)))
    return result


def by_machine(x86_64: int, aarch64: int) -> int:
    """The system call number that fits this machine; numbers from 424 on are the same everywhere."""
    return aarch64 if IS_ARM64 else x86_64


def give_back_memory() -> None:
    """The heap's free pages go back to the kernel, which they do not by themselves after work with many large buffers: malloc_trim(3)."""
    libc.malloc_trim(0)
