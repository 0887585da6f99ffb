#!/usr/bin/env python3
"""How much memory this process may really use, through libmymem and ctypes."""
import ctypes
import os

lib = ctypes.CDLL(os.environ.get("LIBMYMEM", "libmymem.so.0"))


class Memory(ctypes.Structure):
    """struct mymem_memory of mymem.h, in bytes."""

    _fields_ = [(name, ctypes.c_int64) for name in (
        "limit", "used", "available", "headroom", "high",
        "swap_used", "swap_limit", "host_total", "host_available")]
    _fields_ += [(name, ctypes.c_char_p) for name in ("limit_from", "available_from", "rung")]
    _fields_ += [(name, ctypes.c_bool) for name in ("limited", "has_high", "swap_limited")]


lib.mymem_open.restype = ctypes.c_void_p
lib.mymem_read.argtypes = [ctypes.c_void_p, ctypes.POINTER(Memory)]
lib.mymem_error.argtypes = [ctypes.c_void_p]
lib.mymem_error.restype = ctypes.c_char_p
lib.mymem_close.argtypes = [ctypes.c_void_p]
lib.mymem_available.restype = ctypes.c_int64

if __name__ == "__main__":
    handle = lib.mymem_open()
    if handle is None:
        raise MemoryError("mymem_open")
    memory = Memory()
    if lib.mymem_read(handle, memory) < 0:
        raise OSError(os.fsdecode(lib.mymem_error(handle)))
    print(f"limit={memory.limit}\nlimit_from={os.fsdecode(memory.limit_from)}")
    print(f"limited={str(memory.limited).lower()}\nrung={os.fsdecode(memory.rung)}")
    print(f"host_total={memory.host_total}")
    lib.mymem_close(handle)
    print(f"available={lib.mymem_available()}")
