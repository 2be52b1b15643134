/* Arrow schemas on the heap: each node owns its texts and children. */
#include "base/mem.h"
#include "embed/embed_int.h"

static void release(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct ArrowSchema *child = schema->children[i];
        if (child != NULL && child->release != NULL) {
            child->release(child);
        }
        mem_free(child);
    }
    if (schema->dictionary != NULL && schema->dictionary->release != NULL) {
        schema->dictionary->release(schema->dictionary);
    }
    mem_free(schema->dictionary);
    mem_free((void *)schema->children);
    mem_free((void *)(uintptr_t)schema->format);
    mem_free((void *)(uintptr_t)schema->name);
    mem_free((void *)(uintptr_t)schema->metadata);
    schema->release = NULL;
}

enum err embed__schema_new(const char *format, struct slice name, size_t child_count,
                           struct ArrowSchema *ret_schema, struct errinfo *info)
{
    struct ArrowSchema schema = {.format = mem_strdup(format),
                                 .name = mem_slicedup(name),
                                 .flags = ARROW_FLAG_NULLABLE,
                                 .children = mem_calloc(child_count + 1, sizeof(void *)),
                                 .release = release};
    bool is_whole = schema.format != NULL && schema.name != NULL && schema.children != NULL;
    for (size_t i = 0; is_whole && i < child_count; i++) {
        schema.children[i] = mem_calloc(1, sizeof(struct ArrowSchema));
        is_whole = schema.children[i] != NULL;
        schema.n_children++;
    }
    if (!is_whole) {
        release(&schema);
        return errinfo_nomem(info);
    }
    *ret_schema = schema;
    return ERR_OK;
}

/* Pairs behind a count, each text behind its length: all in the machine's byte order. */
static size_t metadata_len(const char *metadata)
{
    int32_t pairs, len;
    size_t at = sizeof(pairs);
    memcpy(&pairs, metadata, sizeof(pairs));
    for (int64_t i = 0; i < (int64_t)pairs * 2; i++) {
        memcpy(&len, metadata + at, sizeof(len));
        at += sizeof(len) + (size_t)len;
    }
    return at;
}

static enum err copy_into(const struct ArrowSchema *from, struct ArrowSchema *to,
                          struct errinfo *info)
{
    to->flags = from->flags;
    if (from->metadata != NULL) {
        size_t len = metadata_len(from->metadata);
        char *metadata = mem_alloc(len);
        if (metadata == NULL) {
            return errinfo_nomem(info);
        }
        memcpy(metadata, from->metadata, len);
        to->metadata = metadata;
    }
    for (int64_t i = 0; i < from->n_children; i++) {
        TRY(embed__schema_copy(from->children[i], to->children[i], info));
    }
    if (from->dictionary != NULL) {
        to->dictionary = mem_calloc(1, sizeof(*to->dictionary));
        if (to->dictionary == NULL) {
            return errinfo_nomem(info);
        }
        TRY(embed__schema_copy(from->dictionary, to->dictionary, info));
    }
    return ERR_OK;
}

enum err embed__schema_copy(const struct ArrowSchema *schema, struct ArrowSchema *ret_schema,
                            struct errinfo *info)
{
    struct ArrowSchema copy;
    TRY(embed__schema_new(schema->format, slice_of(schema->name), (size_t)schema->n_children, &copy,
                          info));
    enum err err = copy_into(schema, &copy, info);
    if (err != ERR_OK) {
        release(&copy);
        return err;
    }
    *ret_schema = copy;
    return ERR_OK;
}

bool embed__schema_equal(const struct ArrowSchema *one, const struct ArrowSchema *other)
{
    bool is_equal =
        strcmp(one->format, other->format) == 0 && one->n_children == other->n_children &&
        (one->dictionary == NULL) == (other->dictionary == NULL) &&
        (one->dictionary == NULL || embed__schema_equal(one->dictionary, other->dictionary));
    for (int64_t i = 0; is_equal && i < one->n_children; i++) {
        is_equal = embed__schema_equal(one->children[i], other->children[i]);
    }
    return is_equal;
}
