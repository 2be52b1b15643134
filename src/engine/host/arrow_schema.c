/* Schemas in messages, and back as Arrow's own. */
#include "base/mem.h"
#include "engine/host/arrow_wire.h"

/* Arrow's metadata says its length nowhere: a count of pairs, each two lengths and their bytes. */
static struct slice metadata_of(const char *metadata)
{
    if (metadata == NULL) {
        return (struct slice){"", 0};
    }
    int32_t count;
    size_t at = sizeof(count);
    memcpy(&count, metadata, sizeof(count));
    for (int32_t i = 0; i < 2 * count; i++) {
        int32_t len;
        memcpy(&len, metadata + at, sizeof(len));
        at += sizeof(len) + (size_t)len;
    }
    return (struct slice){metadata, at};
}

/* The same of bytes that anybody may have written. */
static bool is_metadata(struct slice metadata)
{
    struct wire in = wire_of(metadata);
    uint32_t count = wire_u32(&in);
    if (count > metadata.len) {
        return false;
    }
    for (uint32_t i = 0; i < 2 * count && !in.is_bad; i++) {
        (void)wire_bytes(&in, wire_u32(&in));
    }
    return wire_is_done(&in);
}

static enum err put_node(struct buf *out, const struct ArrowSchema *schema, struct errinfo *info)
{
    struct arrow_layout layout;
    if (!arrow_layout_of(schema->format, &layout)) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "column \"%s\" has a type without a form",
                           schema->name == NULL ? "" : schema->name);
    }
    wire_put_slice(out, slice_of(schema->format));
    wire_put_slice(out, slice_of(schema->name));
    wire_put_slice(out, metadata_of(schema->metadata));
    wire_put_i64(out, schema->flags);
    wire_put_u64(out, (uint64_t)schema->n_children);
    wire_put_u8(out, schema->dictionary != NULL);
    for (int64_t i = 0; i < schema->n_children; i++) {
        TRY(put_node(out, schema->children[i], info));
    }
    return schema->dictionary == NULL ? ERR_OK : put_node(out, schema->dictionary, info);
}

enum err wire_put_schema(struct buf *out, const struct ArrowSchema *schema, struct errinfo *info)
{
    TRY(put_node(out, schema, info));
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static size_t buffers_of(const struct arrow_layout *layout)
{
    switch (layout->kind) {
    case LAYOUT_NULL:
        return 0;
    case LAYOUT_FIXED_LIST:
    case LAYOUT_STRUCT:
    case LAYOUT_UNION:
        return 1;
    case LAYOUT_BITS:
    case LAYOUT_FIXED:
    case LAYOUT_LIST:
        return 2;
    case LAYOUT_BYTES:
        return 3;
    }
    return 0;
}

/* "+us:0,1,2": tags are the children's numbers, so that a tag can be checked by its size. */
static bool has_plain_tags(const struct wire_schema *node)
{
    char wanted[8];
    const char *at = node->format.ptr + sizeof("+us:") - 1;
    for (size_t i = 0; i < node->child_count && i < INT8_MAX; i++) {
        int len = snprintf(wanted, sizeof(wanted), i == 0 ? "%zu" : ",%zu", i);
        if (strncmp(at, wanted, (size_t)len) != 0) {
            return false;
        }
        at += len;
    }
    return *at == '\0' && node->child_count > 0 && node->child_count < INT8_MAX;
}

static bool has_shape(const struct wire_schema *node)
{
    switch (node->layout.kind) {
    case LAYOUT_LIST:
        return node->child_count == 1 &&
               (node->format.ptr[1] != 'm' || (node->children[0].layout.kind == LAYOUT_STRUCT &&
                                               node->children[0].child_count == 2));
    case LAYOUT_FIXED_LIST:
        return node->child_count == 1;
    case LAYOUT_STRUCT:
        return true;
    case LAYOUT_UNION:
        return has_plain_tags(node);
    case LAYOUT_NULL:
    case LAYOUT_BITS:
    case LAYOUT_FIXED:
    case LAYOUT_BYTES:
        return node->child_count == 0;
    }
    return false;
}

static struct slice take_text(struct wire *in, struct arena *arena)
{
    struct slice text = wire_copy(in, arena);
    if (memchr(text.ptr, '\0', text.len) != NULL || !slice_is_utf8(text, NULL)) {
        wire_fail(in);
    }
    return text;
}

static void take_node(struct wire *in, struct arena *arena, struct wire_schema *node,
                      unsigned depth)
{
    enum {
        NODE_BYTES_MIN = 4 * 8 + 8 + 1
    };
    node->format = take_text(in, arena);
    node->name = take_text(in, arena);
    node->metadata = wire_copy(in, arena);
    node->flags = wire_i64(in);
    node->child_count = wire_count(in, NODE_BYTES_MIN);
    bool has_dictionary = wire_bool(in);
    if (in->is_bad || depth > ARROW_WIRE_DEPTH_MAX ||
        !arrow_layout_of(node->format.ptr, &node->layout) ||
        (node->metadata.len > 0 && !is_metadata(node->metadata)) ||
        (has_dictionary && !node->layout.is_integer)) {
        wire_fail(in);
        return;
    }
    node->node_count = 1;
    node->buffer_count = buffers_of(&node->layout);
    node->children = wire_alloc(in, arena, node->child_count, sizeof(*node->children));
    for (size_t i = 0; i < node->child_count && !in->is_bad; i++) {
        take_node(in, arena, &node->children[i], depth + 1);
        node->node_count += node->children[i].node_count;
        node->buffer_count += node->children[i].buffer_count;
    }
    if (has_dictionary && !in->is_bad) {
        node->dictionary = wire_alloc(in, arena, 1, sizeof(*node->dictionary));
        if (node->dictionary != NULL) {
            take_node(in, arena, node->dictionary, depth + 1);
            node->node_count += node->dictionary->node_count;
            node->buffer_count += node->dictionary->buffer_count;
        }
    }
    if (!in->is_bad && !has_shape(node)) {
        wire_fail(in);
    }
}

struct wire_schema *wire_take_schema(struct wire *in, struct arena *arena)
{
    struct wire_schema *schema = wire_alloc(in, arena, 1, sizeof(*schema));
    if (schema == NULL) {
        return NULL;
    }
    take_node(in, arena, schema, 0);
    if (schema->layout.kind != LAYOUT_STRUCT) {
        wire_fail(in);
    }
    return in->is_bad ? NULL : schema;
}

/* ---- as Arrow ---- */

/* Children were released or moved by their own release: only what is still here is ours. */
static void release_node(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i] != NULL) {
            if (schema->children[i]->release != NULL) {
                schema->children[i]->release(schema->children[i]);
            }
            mem_free(schema->children[i]);
        }
    }
    if (schema->dictionary != NULL) {
        if (schema->dictionary->release != NULL) {
            schema->dictionary->release(schema->dictionary);
        }
        mem_free(schema->dictionary);
    }
    mem_free(schema->children);
    mem_free(schema->private_data);
    schema->release = NULL;
}

/* Its three texts in one block, which `private_data` owns. */
static bool fill_texts(const struct wire_schema *from, struct ArrowSchema *to)
{
    char *block = mem_alloc(from->format.len + from->name.len + from->metadata.len + 2);
    if (block == NULL) {
        return false;
    }
    char *name = block + from->format.len + 1;
    char *metadata = name + from->name.len + 1;
    memcpy(block, from->format.ptr, from->format.len);
    block[from->format.len] = '\0';
    memcpy(name, from->name.ptr, from->name.len);
    name[from->name.len] = '\0';
    memcpy(metadata, from->metadata.ptr, from->metadata.len);
    to->private_data = block;
    to->format = block;
    to->name = name;
    to->metadata = from->metadata.len == 0 ? NULL : metadata;
    to->flags = from->flags;
    return true;
}

static bool export_node(const struct wire_schema *from, struct ArrowSchema *to);

static struct ArrowSchema *export_new(const struct wire_schema *from)
{
    struct ArrowSchema *to = mem_calloc(1, sizeof(*to));
    if (to != NULL && !export_node(from, to)) {
        mem_free(to);
        return NULL;
    }
    return to;
}

static bool export_node(const struct wire_schema *from, struct ArrowSchema *to)
{
    *to = (struct ArrowSchema){.release = release_node};
    bool is_whole = fill_texts(from, to);
    if (is_whole && from->child_count > 0) {
        to->children = mem_calloc(from->child_count, sizeof(struct ArrowSchema *));
        is_whole = to->children != NULL;
    }
    for (size_t i = 0; i < from->child_count && is_whole; i++) {
        to->children[i] = export_new(&from->children[i]);
        to->n_children = (int64_t)i + 1;
        is_whole = to->children[i] != NULL;
    }
    if (is_whole && from->dictionary != NULL) {
        to->dictionary = export_new(from->dictionary);
        is_whole = to->dictionary != NULL;
    }
    if (!is_whole) {
        release_node(to);
    }
    return is_whole;
}

enum err wire_schema_export(const struct wire_schema *schema, struct ArrowSchema *ret_schema,
                            struct errinfo *info)
{
    struct ArrowSchema copy;
    if (!export_node(schema, &copy)) {
        return errinfo_nomem(info);
    }
    *ret_schema = copy;
    return ERR_OK;
}
