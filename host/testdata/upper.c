// A well-behaved guest: handle 0 upper-cases every value, handle 1 passes batches on as they are, handle 2 sums i64.
#include "guest.h"

static const char manifest[] =
    "{\"abi\":1,\"name\":\"upper\",\"features\":[1,2],\"params\":[{\"name\":\"input\"}],"
    "\"functions\":[{\"id\":0,\"name\":\"upper\",\"kind\":\"map\",\"inputs\":[\"utf8\"],\"output\":\"utf8\"},"
    "{\"id\":1,\"name\":\"same\",\"kind\":\"map\",\"inputs\":[\"utf8\"],\"output\":\"utf8\"},"
    "{\"id\":2,\"name\":\"sum\",\"kind\":\"reduce\",\"inputs\":[\"i64\"],\"key\":\"utf8\",\"accumulator\":\"i64\",\"output\":\"i64\"}],"
    "\"operators\":[]}";

EXPORT("wasmill_describe") u64 describe(u8 *p, u32 n) { return answer(manifest, sizeof manifest - 1); }

static u32 function[16], output[16];

EXPORT("wasmill_open") u32 open(u32 handle, u8 *p, u32 n) {
  if (handle >= 16) return 2;
  u32 *w = (u32 *)p;
  if (w[3] > 2) return 3; // id of the first function
  function[handle] = w[3];
  output[handle] = w[6] ? w[9] : 0; // number of its first output
  return 0;
}

EXPORT("wasmill_close") u32 close(u32 handle) { return handle < 16 ? 0 : 2; }

// A record "bad" is failed for, by its index.
static int failed(struct batch *b, u32 *offs, u8 *values) {
  for (u32 i = 0; i < b->n; i++) {
    u8 *v = values + offs[i];
    if (offs[i + 1] - offs[i] == 3 && v[0] == 'b' && v[1] == 'a' && v[2] == 'd') {
      u32 f[8] = {32, i, 10, 0};
      memcpy(f + 4, "bad record", 10);
      fail(f, 32);
      return 1;
    }
  }
  return 0;
}

EXPORT("wasmill_process") u32 process(u32 handle, u8 *p, u32 n) {
  struct header *h = (struct header *)p;
  struct batch *b = (struct batch *)(p + h->size);
  if (handle >= 16) return 2;
  if (b->columns & VALUES && function[handle] == 0) {
    u8 *at = (u8 *)(b + 1);
    if (b->columns & TIMESTAMPS) at += 8 * b->n;
    if (b->columns & KEYS) at += pad8(4 * (b->n + 1));
    u32 *offs = (u32 *)at;
    u8 *values = (u8 *)b + b->size - pad8(b->header_bytes) - pad8(b->value_bytes);
    if (failed(b, offs, values)) return 1;
    for (u32 i = 0; i < b->value_bytes; i++)
      if (values[i] >= 'a' && values[i] <= 'z') values[i] -= 32;
  }
  if (b->columns & TIMESTAMPS) {
    i64 *times = (i64 *)(b + 1), newest = times[0];
    for (u32 i = 1; i < b->n; i++)
      if (times[i] > newest) newest = times[i];
    if (b->n) watermark(newest);
  }
  emit(output[handle], b, b->size);
  metric(1, "records", 7, b->n);
  return 0;
}

static u8 replies[1 << 16];

// Accumulates: the new accumulator of each group is the old one, if any, plus its values.
EXPORT("wasmill_keyed") u32 keyed(u32 handle, u32 verb, u8 *p, u32 n) {
  if (verb != 4) return 4;
  p += ((struct header *)p)->size;
  u32 groups = ((u32 *)p)[1], used = 0;
  p += ((u32 *)p)[0];
  for (u32 g = 0; g < groups; g++) {
    u32 *group = (u32 *)p;
    u32 lists = group[9];
    u8 *l = p + 40 + pad8(group[8]);
    i64 sum = 0;
    for (u32 k = 0; k < lists; k++) {
      u32 *list = (u32 *)l;
      u32 included = list[3];
      u8 *values = l + list[0] - pad8(list[5]);
      for (u32 i = 0; i < included; i++) sum += ((i64 *)values)[i];
      l += list[0];
    }
    u32 entry[10] = {40, g, 1, 0, 24, 1, 8, 0};
    memcpy(entry + 8, &sum, 8);
    if (used + 40 > sizeof replies) return 6;
    memcpy(replies + used, entry, 40);
    used += 40;
    p += group[0];
  }
  reply(replies, used);
  return 0;
}
