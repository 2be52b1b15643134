/* Puffin: "PFA1", blobs, and a footer of JSON between two more of these. */
#include "base/json.h"
#include "iceberg/delete_write.h"
#include "iceberg/sketch.h"

#define MAGIC "PFA1"
#define FIELD_POSITION 2147483645 /* _pos, which the specification wants named */

void puffin_writer_fini(struct puffin_writer *writer)
{
    buf_fini(&writer->blobs);
}

static void append_u32(struct buf *out, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        buf_append_char(out, (char)(value >> (8 * i) & 0xFF));
    }
}

enum err puffin_writer_add_vector(struct puffin_writer *writer,
                                  const struct iceberg_positions *positions,
                                  struct iceberg_file *file, struct buf *out, struct errinfo *info)
{
    if (out->len == 0) {
        buf_append_str(out, MAGIC);
    }
    size_t begin = out->len;
    TRY(iceberg_positions_write_vector(positions, out, info));
    uint64_t count = iceberg_positions_count(positions);
    struct buf *blobs = &writer->blobs;
    buf_append_str(blobs, writer->count == 0 ? "" : ",");
    /* Neither snapshot nor sequence number is known before the commit: -1, says the spec. */
    buf_printf(blobs,
               "{\"type\":\"deletion-vector-v1\",\"fields\":[%d],\"snapshot-id\":-1,"
               "\"sequence-number\":-1,\"offset\":%zu,\"length\":%zu,\"properties\":{"
               "\"referenced-data-file\":",
               FIELD_POSITION, begin, out->len - begin);
    json_write_string(blobs, file->referenced_data_file);
    buf_printf(blobs, ",\"cardinality\":\"%llu\"}}", (unsigned long long)count);
    if (buf_failed(blobs) || buf_failed(out)) {
        return errinfo_nomem(info);
    }
    writer->count++;
    file->record_count = (int64_t)count;
    file->content_offset = (int64_t)begin;
    file->content_size_bytes = (int64_t)(out->len - begin);
    return ERR_OK;
}

enum err puffin_writer_add_sketch(struct puffin_writer *writer, const struct puffin_sketch *of,
                                  struct iceberg_sketch *sketch, struct buf *out,
                                  struct buf *entries, struct errinfo *info)
{
    struct buf *blobs = &writer->blobs;
    struct buf common CLEANUP(buf_fini) = {0};
    if (out->len == 0) {
        buf_append_str(out, MAGIC);
    }
    size_t begin = out->len;
    TRY(iceberg_sketch_write(sketch, out, info));
    buf_printf(&common,
               "\"type\":\"apache-datasketches-theta-v1\",\"fields\":[%d],\"snapshot-id\":%lld,"
               "\"sequence-number\":%lld,\"properties\":{\"ndv\":\"%llu\"}",
               of->field_id, (long long)of->snapshot_id, (long long)of->sequence_number,
               (unsigned long long)iceberg_sketch_estimate(sketch));
    buf_printf(blobs, "%s{\"offset\":%zu,\"length\":%zu,", writer->count == 0 ? "" : ",", begin,
               out->len - begin);
    buf_append_slice(blobs, buf_slice(&common));
    buf_append_char(blobs, '}');
    buf_append_str(entries, entries->len == 0 ? "{" : ",{");
    buf_append_slice(entries, buf_slice(&common));
    buf_append_char(entries, '}');
    writer->count++;
    return buf_failed(&common) || buf_failed(blobs) || buf_failed(entries) ? errinfo_nomem(info)
                                                                           : ERR_OK;
}

enum err puffin_writer_finish(struct puffin_writer *writer, struct buf *out, struct errinfo *info)
{
    ASSERT(writer->count > 0);
    buf_append_str(out, MAGIC);
    size_t begin = out->len;
    buf_append_str(out, "{\"blobs\":[");
    buf_append_slice(out, buf_slice(&writer->blobs));
    buf_append_str(out, "],\"properties\":{\"created-by\":\"moat " MOAT_VERSION "\"}}");
    append_u32(out, (uint32_t)(out->len - begin));
    append_u32(out, 0); /* flags: the JSON is not compressed */
    buf_append_str(out, MAGIC);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
