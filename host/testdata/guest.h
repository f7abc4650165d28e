// What the test guests share: the imports, one input buffer, and the layout of a batch. Freestanding, little-endian.
#include <stdint.h>
typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t i64;

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define WASI "wasi_snapshot_preview1"

IMPORT("wasmill", "emit") void emit(u32 output, const void *p, u32 n);
IMPORT("wasmill", "reply") void reply(const void *p, u32 n);
IMPORT("wasmill", "watermark") void watermark(i64 ms);
IMPORT("wasmill", "state") u32 state(u32 op, const void *p, u32 n, void *out, u32 cap);
IMPORT("wasmill", "log") void log_line(u32 level, const void *p, u32 n);
IMPORT("wasmill", "metric") void metric(u32 kind, const void *name, u32 n, i64 value);
IMPORT("wasmill", "param") u32 param(const void *name, u32 n, void *out, u32 cap);
IMPORT("wasmill", "fail") void fail(const void *p, u32 n);

struct header { u32 size, input; i64 watermark, now; u32 split, subtask, parallelism, attempt; };
struct batch { uint16_t version, zero; u32 columns, n, size, key_bytes, value_bytes, header_bytes, zero2; };
enum { TIMESTAMPS = 1, KEYS = 2, VALUES = 4 };

static inline u32 pad8(u32 n) { return (n + 7) & ~7u; }

void *memcpy(void *d, const void *s, unsigned long n) {
  u8 *a = d;
  const u8 *b = s;
  while (n--) *a++ = *b++;
  return d;
}
void *memset(void *d, int c, unsigned long n) {
  u8 *a = d;
  while (n--) *a++ = (u8)c;
  return d;
}

// The input buffer lies at the end of memory, where it can grow.
static u8 *input;
static u32 input_size;
EXPORT("wasmill_buffer") void *wasmill_buffer(u32 size) {
  if (size > input_size) {
    u32 pages = (size + 65535) / 65536;
    u32 at = __builtin_wasm_memory_grow(0, pages);
    if (at == ~0u) return 0;
    input = (u8 *)(at * 65536ul), input_size = pages * 65536;
  }
  return input;
}

EXPORT("wasmill_abi_1") void wasmill_abi_1(void) {}

static inline u64 answer(const char *s, u32 n) { return (u64)(u32)s << 32 | n; }
