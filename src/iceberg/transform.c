/* Names of partition transforms and the types of their values. Applying them is
 * transform_apply.c's. A name that is not known stays readable: the spec has readers ignore such
 * a field when they filter. */
#include "iceberg/transform.h"

static const struct {
    struct slice name;
    enum iceberg_transform_kind kind;
} plain_transforms[] = {
    {{"identity", 8}, TRANSFORM_IDENTITY}, {{"year", 4}, TRANSFORM_YEAR},
    {{"month", 5}, TRANSFORM_MONTH},       {{"day", 3}, TRANSFORM_DAY},
    {{"hour", 4}, TRANSFORM_HOUR},         {{"void", 4}, TRANSFORM_VOID},
};

static const char *kind_name(enum iceberg_transform_kind kind)
{
    switch (kind) {
    case TRANSFORM_IDENTITY:
        return "identity";
    case TRANSFORM_BUCKET:
        return "bucket";
    case TRANSFORM_TRUNCATE:
        return "truncate";
    case TRANSFORM_YEAR:
        return "year";
    case TRANSFORM_MONTH:
        return "month";
    case TRANSFORM_DAY:
        return "day";
    case TRANSFORM_HOUR:
        return "hour";
    case TRANSFORM_VOID:
        return "void";
    case TRANSFORM_OTHER:
        return "other";
    }
    return "other";
}

/* "[16]": digits between brackets that fill `text`. */
static bool parse_width(struct slice text, uint32_t *ret_width)
{
    uint64_t width;
    if (text.len < 3 || text.ptr[0] != '[' || text.ptr[text.len - 1] != ']' ||
        !slice_to_u64((struct slice){text.ptr + 1, text.len - 2}, &width) || width < 1 ||
        width > INT32_MAX) {
        return false;
    }
    *ret_width = (uint32_t)width;
    return true;
}

enum err iceberg_transform_parse(struct slice text, struct iceberg_transform *ret_transform,
                                 struct errinfo *info)
{
    struct iceberg_transform transform = {.kind = TRANSFORM_OTHER, .text = text};
    if (text.len == 0) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a partition transform has no name");
    }
    for (size_t i = 0; i < ARRAY_COUNT(plain_transforms); i++) {
        /* The reference implementation folds case. */
        if (slice_equal_fold(text, plain_transforms[i].name)) {
            transform.kind = plain_transforms[i].kind;
        }
    }
    static const struct slice bucket = {"bucket", 6};
    static const struct slice truncate = {"truncate", 8};
    size_t bracket = slice_find(text, SLICE("["));
    struct slice name = {text.ptr, bracket == SIZE_MAX ? text.len : bracket};
    if (slice_equal_fold(name, bucket)) {
        transform.kind = TRANSFORM_BUCKET;
    } else if (slice_equal_fold(name, truncate)) {
        transform.kind = TRANSFORM_TRUNCATE;
    }
    if (transform.kind == TRANSFORM_BUCKET || transform.kind == TRANSFORM_TRUNCATE) {
        struct slice width = {text.ptr + name.len, text.len - name.len};
        if (!parse_width(width, &transform.width)) {
            return errinfo_set(info, ERR_CORRUPT, NULL,
                               "partition transform \"%.*s\" has no width of 1 to 2147483647 in "
                               "brackets",
                               SLICE_ARGS(text));
        }
    }
    *ret_transform = transform;
    return ERR_OK;
}

const char *iceberg_transform_suffix(const struct iceberg_transform *transform)
{
    static const char *const suffixes[] = {
        [TRANSFORM_IDENTITY] = "",  [TRANSFORM_BUCKET] = "_bucket", [TRANSFORM_TRUNCATE] = "_trunc",
        [TRANSFORM_YEAR] = "_year", [TRANSFORM_MONTH] = "_month",   [TRANSFORM_DAY] = "_day",
        [TRANSFORM_HOUR] = "_hour", [TRANSFORM_VOID] = "_null",     [TRANSFORM_OTHER] = "_other",
    };
    return suffixes[transform->kind];
}

void iceberg_transform_print(const struct iceberg_transform *transform, struct buf *out)
{
    if (transform->kind == TRANSFORM_OTHER) {
        buf_append_slice(out, transform->text);
        return;
    }
    buf_append_str(out, kind_name(transform->kind));
    if (transform->kind == TRANSFORM_BUCKET || transform->kind == TRANSFORM_TRUNCATE) {
        buf_printf(out, "[%u]", transform->width);
    }
}

static bool is_timestamp(enum iceberg_type_id id)
{
    return id == ICEBERG_TIMESTAMP || id == ICEBERG_TIMESTAMPTZ || id == ICEBERG_TIMESTAMP_NS ||
           id == ICEBERG_TIMESTAMPTZ_NS;
}

static bool is_bucketable(enum iceberg_type_id id)
{
    return is_timestamp(id) || id == ICEBERG_INT || id == ICEBERG_LONG || id == ICEBERG_DECIMAL ||
           id == ICEBERG_DATE || id == ICEBERG_TIME || id == ICEBERG_STRING || id == ICEBERG_UUID ||
           id == ICEBERG_FIXED || id == ICEBERG_BINARY;
}

static bool is_truncatable(enum iceberg_type_id id)
{
    return id == ICEBERG_INT || id == ICEBERG_LONG || id == ICEBERG_DECIMAL ||
           id == ICEBERG_STRING || id == ICEBERG_BINARY;
}

static bool is_identity_source(enum iceberg_type_id id)
{
    return id != ICEBERG_STRUCT && id != ICEBERG_LIST && id != ICEBERG_MAP &&
           id != ICEBERG_VARIANT && id != ICEBERG_GEOMETRY && id != ICEBERG_GEOGRAPHY;
}

enum err iceberg_transform_result(const struct iceberg_transform *transform,
                                  const struct iceberg_type *source, struct iceberg_type *ret_type,
                                  struct errinfo *info)
{
    struct iceberg_type result = *source;
    bool is_taken = true;
    switch (transform->kind) {
    case TRANSFORM_IDENTITY:
        is_taken = is_identity_source(source->id);
        break;
    case TRANSFORM_BUCKET:
        is_taken = is_bucketable(source->id);
        result = (struct iceberg_type){.id = ICEBERG_INT};
        break;
    case TRANSFORM_TRUNCATE:
        is_taken = is_truncatable(source->id);
        break;
    case TRANSFORM_YEAR:
    case TRANSFORM_MONTH:
        is_taken = is_timestamp(source->id) || source->id == ICEBERG_DATE;
        result = (struct iceberg_type){.id = ICEBERG_INT};
        break;
    case TRANSFORM_DAY:
        /* Older manifests say int, which has the same bytes. */
        is_taken = is_timestamp(source->id) || source->id == ICEBERG_DATE;
        result = (struct iceberg_type){.id = ICEBERG_DATE};
        break;
    case TRANSFORM_HOUR:
        is_taken = is_timestamp(source->id);
        result = (struct iceberg_type){.id = ICEBERG_INT};
        break;
    case TRANSFORM_VOID:
        break;
    case TRANSFORM_OTHER:
        result = (struct iceberg_type){.id = ICEBERG_STRING};
        break;
    }
    if (!is_taken) {
        struct buf type CLEANUP(buf_fini) = {0};
        iceberg_type_print(source, &type);
        return errinfo_set(info, ERR_INVALID, NULL,
                           "partition transform \"%.*s\" does not take values of type %s",
                           SLICE_ARGS(transform->text), buf_cstr(&type));
    }
    *ret_type = result;
    return ERR_OK;
}
