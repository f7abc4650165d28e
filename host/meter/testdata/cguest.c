// cguest.wasm is built from this file by
//
//	clang-19 --target=wasm32-unknown-unknown -O2 -mbulk-memory -ffreestanding -nostdlib -Wl,--no-entry -Wl,-z,stack-size=65536 \
//	  -o cguest.wasm cguest.c
//
// Each export computes something from the first n bytes of buffer.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef __SIZE_TYPE__ size_t;

#define EXPORT(name) __attribute__((export_name(#name)))

static u8 buf[1 << 20], copy[1 << 20];

EXPORT(buffer) u32 buffer(void) { return (u32)buf; }

EXPORT(hash) u64 hash(u32 n) {
  u64 h = 14695981039346656037ull;
  for (u32 i = 0; i < n; i++) h = (h ^ buf[i]) * 1099511628211ull;
  return h;
}

EXPORT(hash_one) u64 hash_one(u32 n) {
  u64 h = 14695981039346656037ull;
#pragma clang loop unroll(disable)
  for (u32 i = 0; i < n; i++) h = (h ^ buf[i]) * 1099511628211ull;
  return h;
}

int memcmp(const void *a, const void *b, size_t n) {
  const u8 *p = a, *q = b;
  for (; n; n--, p++, q++)
    if (*p != *q) return *p - *q;
  return 0;
}

#define SLOTS 65536
static struct {
  u32 off, len;
  u64 hash;
  u32 count;
} table[SLOTS];

static u32 count_word(u32 start, u32 len, u64 h) {
  for (u32 k = (u32)(h ^ h >> 32) & (SLOTS - 1);; k = (k + 1) & (SLOTS - 1)) {
    if (!table[k].count) {
      table[k].off = start, table[k].len = len, table[k].hash = h, table[k].count = 1;
      return 1;
    }
    if (table[k].hash == h && table[k].len == len && !memcmp(buf + table[k].off, buf + start, len)) {
      table[k].count++;
      return 0;
    }
  }
}

EXPORT(words) u64 words(u32 n) {
  __builtin_memset(table, 0, sizeof table);
  u32 distinct = 0, start = 0;
  int in = 0;
  u64 h = 0;
  for (u32 i = 0; i < n; i++) {
    u8 c = buf[i] | 0x20;
    if (c >= 'a' && c <= 'z') {
      if (!in) in = 1, start = i, h = 14695981039346656037ull;
      h = (h ^ c) * 1099511628211ull;
    } else if (in) {
      in = 0;
      distinct += count_word(start, i - start, h);
    }
  }
  return distinct;
}

static void sort(u8 *a, int lo, int hi) {
  while (lo < hi) {
    int i = lo, j = hi;
    u8 p = a[(lo + hi) / 2];
    while (i <= j) {
      while (a[i] < p) i++;
      while (a[j] > p) j--;
      if (i <= j) {
        u8 t = a[i];
        a[i++] = a[j], a[j--] = t;
      }
    }
    if (j - lo < hi - i) {
      sort(a, lo, j);
      lo = i;
    } else {
      sort(a, i, hi);
      hi = j;
    }
  }
}

EXPORT(sorted) u64 sorted(u32 n) {
  __builtin_memcpy(copy, buf, n);
  sort(copy, 0, (int)n - 1);
  u64 h = 0;
  for (u32 i = 0; i < n; i++) h = h * 31 + copy[i];
  return h;
}

static u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

EXPORT(fib) u64 fib(u32 n) { return fibonacci(n); }

EXPORT(machine) u64 machine(u32 n) {
  u64 a = 1, b = 2, c = 3;
  for (u32 i = 0; i < n; i++) switch (buf[i] & 15) {
      case 0: a += b; break;
      case 1: b ^= c; break;
      case 2: c = a * 7; break;
      case 3: a -= c; // and on
      case 4: b += i; break;
      case 5: if (a & 1) continue; c++; break;
      case 6: for (u32 j = 0; j < (a & 7); j++) b = b * 5 + j; break;
      case 7: a = b << 3 | b >> 61; break;
      case 8: c -= b; break;
      case 9: a ^= a >> 7; break;
      default: b++;
    }
  return a ^ b ^ c;
}

typedef u64 (*step)(u64, u64);
static u64 add(u64 a, u64 b) { return a + b; }
static u64 multiply(u64 a, u64 b) { return a * b + 1; }
static u64 mix(u64 a, u64 b) { return (a ^ b) >> 1; }
static step steps[] = {add, multiply, mix, add};

EXPORT(indirect) u64 indirect(u32 n) {
  u64 h = 1;
  for (u32 i = 0; i < n; i++) h = steps[buf[i] & 3](h, i);
  return h;
}

EXPORT(moves) u64 moves(u32 n) {
  for (u32 i = 0; i < 50; i++) {
    __builtin_memmove(copy + i, copy, n - i);
    __builtin_memmove(copy, copy + i * 3, n - i * 3);
    __builtin_memset(copy + i * 100, (int)i, 50);
  }
  return copy[n / 2] + copy[n - 300] * 256u;
}

EXPORT(floats) u64 floats(u32 n) {
  double s = 0, x = 1;
  float f = 0;
  for (u32 i = 0; i < n; i++) {
    s += buf[i] / (x += 0.5);
    f = f * 0.25f + buf[i];
  }
  return (u64)(s * 1000) + (u64)f;
}
