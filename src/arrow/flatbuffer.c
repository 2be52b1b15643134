#include "arrow/flatbuffer.h"

static size_t here(const struct flat *flat)
{
    return flat->out->len - flat->base;
}

static void zeros(struct flat *flat, size_t len)
{
    char *room = buf_reserve(flat->out, len);
    if (room != NULL) {
        memset(room, 0, len);
        flat->out->len += len;
    }
}

void flat_align(struct flat *flat, size_t align)
{
    zeros(flat, (align - here(flat) % align) % align);
}

/* Little-endian, as the format and every machine we build for. */
void flat_put(struct flat *flat, size_t at, uint64_t value, size_t size)
{
    if (!buf_failed(flat->out)) { /* after a failure positions mean nothing */
        ASSERT(flat->base + at + size <= flat->out->len);
        memcpy(flat->out->ptr + flat->base + at, &value, size);
    }
}

void flat_refer(struct flat *flat, size_t reference, size_t target)
{
    flat_put(flat, reference, target - reference, 4);
}

size_t flat_table(struct flat *flat, struct flat_field *fields, size_t count)
{
    size_t slots = 0;
    size_t size = 4; /* the distance to the vtable */
    size += count > 0 && fields[0].size == 8 ? 4 : 0;
    for (size_t i = 0; i < count; i++) {
        slots = fields[i].slot + 1u > slots ? fields[i].slot + 1u : slots;
        ASSERT(i == 0 || fields[i - 1].size >= fields[i].size);
        size += fields[i].size;
    }
    flat_align(flat, 8);
    size_t vtable = here(flat);
    zeros(flat, 4 + 2 * slots);
    flat_align(flat, 8);
    size_t table = here(flat);
    zeros(flat, size);
    flat_put(flat, vtable, 4 + 2 * slots, 2);
    flat_put(flat, vtable + 2, size, 2);
    flat_put(flat, table, table - vtable, 4);
    size_t at = count > 0 && fields[0].size == 8 ? 8 : 4;
    for (size_t i = 0; i < count; i++) {
        flat_put(flat, vtable + 4 + 2u * fields[i].slot, at, 2);
        flat_put(flat, table + at, fields[i].value, fields[i].size);
        fields[i].at = table + at;
        at += fields[i].size;
    }
    return table;
}

size_t flat_vector(struct flat *flat, size_t reference, size_t count, size_t size, size_t align)
{
    flat_align(flat, 4);
    while ((here(flat) + 4) % align != 0) {
        zeros(flat, 4);
        if (buf_failed(flat->out)) {
            return 0;
        }
    }
    size_t at = here(flat);
    zeros(flat, 4 + count * size);
    flat_put(flat, at, count, 4);
    flat_refer(flat, reference, at);
    return at + 4;
}

void flat_string(struct flat *flat, size_t reference, struct slice text)
{
    flat_align(flat, 4);
    size_t at = here(flat);
    zeros(flat, 4);
    flat_put(flat, at, text.len, 4);
    buf_append_slice(flat->out, text);
    zeros(flat, 1);
    flat_refer(flat, reference, at);
}
