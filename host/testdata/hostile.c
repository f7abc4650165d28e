// A guest that does what the value of the first record tells it: a list of u32, the first of which names the deed.
#include "guest.h"

IMPORT(WASI, "proc_exit") void proc_exit(u32);
IMPORT(WASI, "fd_write") u32 fd_write(u32 fd, void *iovs, u32 n, void *out);
IMPORT(WASI, "fd_read") u32 fd_read(u32 fd, void *iovs, u32 n, void *out);
IMPORT(WASI, "fd_fdstat_get") u32 fd_fdstat_get(u32 fd, void *out);
IMPORT(WASI, "random_get") u32 random_get(void *p, u32 n);
IMPORT(WASI, "clock_time_get") u32 clock_time_get(u32 id, u64 precision, void *out);
IMPORT(WASI, "clock_res_get") u32 clock_res_get(u32 id, void *out);
IMPORT(WASI, "args_sizes_get") u32 args_sizes_get(void *a, void *b);
IMPORT(WASI, "environ_sizes_get") u32 environ_sizes_get(void *a, void *b);
IMPORT(WASI, "poll_oneoff") u32 poll_oneoff(void *in, void *out, u32 n, void *count);
IMPORT(WASI, "fd_prestat_get") u32 fd_prestat_get(u32 fd, void *out);
IMPORT(WASI, "path_open") u32 path_open(u32 fd, u32 a, const void *p, u32 n, u32 b, u64 c, u64 d, u32 e, void *out);
IMPORT(WASI, "sched_yield") u32 sched_yield(void);

static char manifest[] = "{\"abi\":1,\"name\":\"hostile-00\",\"features\":[1,2],\"params\":[],\"functions\":[],\"operators\":[]}";

// With the parameter "lie" the manifest holds something random.
EXPORT("wasmill_describe") u64 describe(u8 *p, u32 n) {
  u8 r;
  random_get(&r, 1);
  if (param("lie", 3, 0, 0) != ~0u) manifest[25] = 'a' + (r & 15), manifest[26] = 'a' + (r >> 4);
  if (param("trap", 4, 0, 0) != ~0u) __builtin_trap();
  if (param("spin", 4, 0, 0) != ~0u) for (volatile u32 i = 0;; i++);
  if (param("fail", 4, 0, 0) != ~0u) return (u64)0xfffffff0 << 32 | 64;
  if (param("json", 4, 0, 0) != ~0u) manifest[0] = '[';
  return answer(manifest, sizeof manifest - 1);
}

EXPORT("wasmill_open") u32 open(u32 handle, u8 *p, u32 n) { return 0; }

__attribute__((noinline)) void crash(void) { __builtin_trap(); }
__attribute__((noinline)) void stumble(volatile u32 *p) {
  crash();
  *p = 1;
}
#pragma clang diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline)) u32 recurse(volatile u32 *p) { return recurse(p) + *p; }

static u32 text[64], out[64];

// Everything that takes a pointer, by number, with the arguments a[0], a[1] ... as they come.
__attribute__((noinline)) static u32 call(u32 number, u32 *a) {
#define P(k) (void *)a[k]
  switch (number) {
  case 0: emit(a[0], P(1), a[2]); return 0;
  case 1: reply(P(0), a[1]); return 0;
  case 2: return state(a[0], P(1), a[2], P(3), a[4]);
  case 3: log_line(a[0], P(1), a[2]); return 0;
  case 4: metric(a[0], P(1), a[2], a[3]); return 0;
  case 5: return param(P(0), a[1], P(2), a[3]);
  case 6: fail(P(0), a[1]); return 0;
  case 7: return fd_write(a[0], P(1), a[2], P(3));
  case 8: return random_get(P(0), a[1]);
  case 9: return clock_time_get(a[0], 1, P(1));
  case 10: return args_sizes_get(P(0), P(1));
  case 11: return environ_sizes_get(P(0), P(1));
  case 12: return poll_oneoff(P(0), P(1), a[2], P(3));
  case 13: return clock_res_get(a[0], P(1));
  case 14: return fd_read(a[0], P(1), a[2], P(3));
  case 15: return fd_fdstat_get(a[0], P(1));
  }
  return ~0u;
}

static u32 say(u32 fd, const char *s, u32 n) {
  u32 iov[2] = {(u32)s, n};
  return fd_write(fd, iov, 1, out);
}

// Emits one record whose value is the n bytes at p.
static void emit_bytes(u32 output, const void *p, u32 n) {
  static u64 buf[64];
  u32 *b = (u32 *)buf;
  memset(buf, 0, sizeof buf);
  b[0] = 1, b[1] = VALUES, b[2] = 1, b[3] = 40 + pad8(n), b[5] = n, b[9] = n;
  memcpy(b + 10, p, n);
  emit(output, b, b[3]);
}

EXPORT("wasmill_process") u32 process(u32 handle, u8 *p, u32 n) {
  struct batch *b = (struct batch *)(p + ((struct header *)p)->size);
  u32 *a = (u32 *)((u8 *)b + b->size - pad8(b->value_bytes));
  switch (a[0]) {
  case 0: return a[1];                                            // answer a status
  case 1: stumble(text); return 0;                                // trap two functions deep
  case 2: say(2, "giving up\nsorry\n", 16); proc_exit(a[1]);      // exit
  case 3: for (volatile u32 i = 0;; i++);                         // spin
  case 4: return recurse(text);                                   // recurse without end
  case 5: while (__builtin_wasm_memory_grow(0, 16) != ~0ul); if (a[1]) crash(); return 0; // take all memory
  case 6: out[0] = call(a[1], a + 2); emit_bytes(0, out, 4); return 0; // any import, its answer emitted
  case 7: emit_bytes(0, "first", 5); if (a[1]) crash(); return 0; // emit, then trap
  case 8: text[0] = 24, text[1] = a[1], text[2] = 4, text[3] = 4; memcpy(text + 4, "whywhere", 8); // fail
          fail(text, 24); if (a[2]) crash(); return 1;
  case 9: for (u32 k = 0; k < a[1]; k++) emit_bytes(0, "x", 1); return 0; // emit often
  case 10: for (u32 k = 0; k < a[1]; k++) log_line(2, "line", 4); return 0;
  case 11: say(1, "one\ntwo\nthr", 11); say(1, "ee\n", 3); say(2, "warn", 4); return 0;
  case 12: metric(1, "seen", 4, 2); metric(1, "seen", 4, 3); metric(2, "level", 5, 7); if (a[1]) crash(); return 0;
  case 13: random_get(out, 8); emit_bytes(0, out, 8); return 0;
  case 14: {                                                      // the clock, a wait of 5 ms, the clock
    u64 s[6] = {77, 0, 1, 5000000, 0, 0}, e[4];
    clock_time_get(0, 1, out);
    poll_oneoff(s, e, 1, out + 8);
    clock_time_get(0, 1, out + 2);
    out[4] = (u32)e[0], out[5] = out[8];
    emit_bytes(0, out, 24);
    return 0;
  }
  case 15: out[0] = fd_prestat_get(3, out + 8); out[1] = path_open(3, 0, "x", 1, 0, 0, 0, 0, out + 8);
           out[2] = sched_yield(); out[3] = fd_read(0, text, 1, out + 8); out[4] = out[8];
           emit_bytes(0, out, 20); return 0;
  case 16: out[0] = param("name", 4, out + 1, 32); emit_bytes(0, out, 36); return 0;
  case 17: metric(1, p + 40 + b->size - pad8(b->value_bytes) + 8, a[1], 1); return 0; // a metric named by the record
  case 18: for (u32 k = 0; k < a[1]; k++) memset(input, 1, 1); return 0; // loop a while
  case 19: for (;;) memset(text, 0, sizeof text);
  case 20: for (u32 k = 0; k < a[1]; k++) watermark(5 + k % 3); return 0; // host calls
  case 21: { // emit a batch of one value, of a[2] zero bytes, a[1] times
    u32 at = __builtin_wasm_memory_grow(0, a[2] / 65536 + 1);
    u32 *b = (u32 *)(at * 65536ul), n = a[2], times = a[1];
    b[0] = 1, b[1] = VALUES, b[2] = 1, b[3] = 40 + n, b[5] = n, b[9] = n;
    while (times--) emit(0, b, b[3]);
    return 0;
  }
  case 22: { // to output a[2] a batch of no column and a[1] records
    u32 b[8] = {1, 0, a[1], 32, 0, 0, 0, 0};
    emit(a[2], b, 32);
    return 0;
  }
  }
  return 5;
}

EXPORT("wasmill_keyed") u32 keyed(u32 handle, u32 verb, u8 *p, u32 n) { // replies the key of the first group
  p += ((struct header *)p)->size;
  p += ((u32 *)p)[0];
  reply(p + 40, ((u32 *)p)[8]);
  return 0;
}
