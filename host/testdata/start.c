// A guest whose _initialize writes a line, and whose manifest stands in a custom section: to ask it is a mistake.
#include "guest.h"

IMPORT(WASI, "fd_write") u32 fd_write(u32 fd, void *iovs, u32 n, void *out);

__asm__(".section .custom_section.wasmill.manifest,\"\",@\n"
        ".ascii \"{\\\"abi\\\":1,\\\"name\\\":\\\"start\\\",\\\"features\\\":[1],\\\"params\\\":[],\\\"functions\\\":[],\\\"operators\\\":[]}\"");

EXPORT("_initialize") void initialize(void) {
  static u32 iov[2], out;
  iov[0] = (u32)"started\n", iov[1] = 8;
  fd_write(1, iov, 1, &out);
}

EXPORT("wasmill_describe") u64 describe(u8 *p, u32 n) { __builtin_trap(); }
EXPORT("wasmill_open") u32 open(u32 handle, u8 *p, u32 n) { return 0; }
EXPORT("wasmill_process") u32 process(u32 handle, u8 *p, u32 n) { return 0; }
