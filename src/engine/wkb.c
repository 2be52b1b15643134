#include "engine/wkb.h"

#include <math.h>

enum wkb_type {
    WKB_POINT = 1,
    WKB_LINESTRING = 2,
    WKB_POLYGON = 3,
    WKB_MULTIPOINT = 4,
    WKB_MULTILINESTRING = 5,
    WKB_MULTIPOLYGON = 6,
    WKB_COLLECTION = 7
};

#define FLAG_Z 0x80000000u
#define FLAG_M 0x40000000u
#define FLAG_SYSTEM 0x20000000u

struct reader {
    const uint8_t *begin, *at, *end;
    struct wkb_facts facts;
    struct errinfo *info;
};

/* What a shape begins with. */
struct head {
    unsigned type;
    unsigned width; /* coordinates of a point */
    bool has_z, has_m;
    bool is_big_endian;
};

static enum err wrong(const struct reader *in, const char *what)
{
    return errinfo_set(in->info, ERR_INVALID, "22023",
                       "no well-known binary of a shape: %s at byte %zu", what,
                       (size_t)(in->at - in->begin));
}

static size_t left(const struct reader *in)
{
    return (size_t)(in->end - in->at);
}

static uint64_t load(const uint8_t *at, unsigned len, bool is_big_endian)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < len; i++) {
        value = value << 8 | at[is_big_endian ? i : len - 1 - i];
    }
    return value;
}

static enum err take_u32(struct reader *in, bool is_big_endian, uint32_t *ret_value)
{
    if (left(in) < 4) {
        return wrong(in, "it ends");
    }
    *ret_value = (uint32_t)load(in->at, 4, is_big_endian);
    in->at += 4;
    return ERR_OK;
}

static enum err take_head(struct reader *in, struct head *ret_head)
{
    uint32_t word, system;
    if (left(in) < 1) {
        return wrong(in, "it ends");
    }
    if (*in->at > 1) {
        return wrong(in, "there is no byte order");
    }
    bool is_big_endian = *in->at == 0;
    in->at++;
    TRY(take_u32(in, is_big_endian, &word));
    uint32_t number = word & ~(FLAG_Z | FLAG_M | FLAG_SYSTEM);
    if (number >= 4000 || number % 1000 < WKB_POINT || number % 1000 > WKB_COLLECTION) {
        in->at -= 4;
        return wrong(in, "there is no type of shape that is known");
    }
    if ((word & FLAG_SYSTEM) != 0) {
        TRY(take_u32(in, is_big_endian, &system));
    }
    *ret_head = (struct head){.type = number % 1000,
                              .has_z = number / 1000 % 2 == 1 || (word & FLAG_Z) != 0,
                              .has_m = number / 2000 == 1 || (word & FLAG_M) != 0,
                              .is_big_endian = is_big_endian};
    ret_head->width = 2u + ret_head->has_z + ret_head->has_m;
    return ERR_OK;
}

static double coordinate(const struct reader *in, const struct head *head, unsigned index)
{
    uint64_t bits = load(in->at + 8u * index, 8, head->is_big_endian);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* There are as many bytes. */
static void take_vertex(struct reader *in, const struct head *head)
{
    double x = coordinate(in, head, 0);
    double y = coordinate(in, head, 1);
    unsigned nan_count = 0;
    for (unsigned i = 0; i < head->width; i++) {
        nan_count += isnan(coordinate(in, head, i)) ? 1 : 0;
    }
    in->at += 8u * head->width;
    if (head->type == WKB_POINT && nan_count == head->width) {
        return;
    }
    bool is_geographic = x >= -180 && x <= 180 && y >= -90 && y <= 90;
    in->facts.has_nan = in->facts.has_nan || nan_count > 0;
    in->facts.is_beyond_geographic = in->facts.is_beyond_geographic || !is_geographic;
}

static enum err take_vertices(struct reader *in, const struct head *head, uint32_t count)
{
    if (count > left(in) / (8u * head->width)) {
        return wrong(in, "it ends before its points do, of which there are more to come");
    }
    for (uint32_t i = 0; i < count; i++) {
        take_vertex(in, head);
    }
    return ERR_OK;
}

static enum err take_line(struct reader *in, const struct head *head)
{
    uint32_t count;
    TRY(take_u32(in, head->is_big_endian, &count));
    return take_vertices(in, head, count);
}

/* The shape's parts, of which each takes bytes: a count that is a lie ends with them. */
static enum err take_shape(struct reader *in, const struct head *outer, unsigned depth)
{
    struct head head;
    uint32_t count;
    if (depth > WKB_DEPTH_MAX) {
        return wrong(in, "collections are nested too deep");
    }
    TRY(take_head(in, &head));
    if (outer != NULL && outer->type != WKB_COLLECTION && head.type != outer->type - 3) {
        return wrong(in, "there is a part that its whole cannot have, before that");
    }
    if (outer != NULL && (head.has_z != outer->has_z || head.has_m != outer->has_m)) {
        return wrong(in, "there is a part with other dimensions than its whole, before that");
    }
    if (head.type == WKB_POINT) {
        return take_vertices(in, &head, 1);
    }
    if (head.type == WKB_LINESTRING) {
        return take_line(in, &head);
    }
    TRY(take_u32(in, head.is_big_endian, &count));
    unsigned below = depth + (head.type == WKB_COLLECTION ? 1 : 0);
    for (uint32_t i = 0; i < count; i++) {
        TRY(head.type == WKB_POLYGON ? take_line(in, &head) : take_shape(in, &head, below));
    }
    return ERR_OK;
}

enum err wkb_check(struct slice bytes, struct wkb_facts *ret_facts, struct errinfo *info)
{
    const uint8_t *begin = (const uint8_t *)bytes.ptr;
    struct reader in = {.begin = begin, .at = begin, .end = begin + bytes.len, .info = info};
    TRY(take_shape(&in, NULL, 1));
    if (left(&in) > 0) {
        return wrong(&in, "there are bytes behind its end");
    }
    *ret_facts = in.facts;
    return ERR_OK;
}
