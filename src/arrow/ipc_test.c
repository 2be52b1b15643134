#include "arrow/ipc.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arrow/sample.h"
#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"

/* The whole sample, then rows 1 to 3 of it by the batch's offset, then rows 3 of no dictionary. */
static void write_stream(const struct sample *sample, struct buf *out)
{
    CHECK_OK(ipc_write_schema(sample->schema, out, NULL));
    CHECK_OK(ipc_write_batch(sample->schema, sample->batch, out, NULL));
    struct ArrowArray slice = *sample->batch;
    slice.offset = 1;
    slice.length = 3;
    CHECK_OK(ipc_write_batch(sample->schema, &slice, out, NULL));
    slice.length = 0;
    CHECK_OK(ipc_write_batch(sample->schema, &slice, out, NULL));
    ipc_write_end(out);
}

extern char **environ;

/* Exit code of `python first second`; -1 if it cannot run. */
static int run_python(char *python, char *first, char *second)
{
    char *const arguments[] = {python, first, second, NULL};
    pid_t child;
    int status = 0;
    if (posix_spawn(&child, python, NULL, NULL, arguments, environ) != 0 ||
        waitpid(child, &status, 0) != child) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The checks' own Python, where tools/deps put it. */
static bool find_python(char path[512])
{
    const char *cache = getenv("MOAT_CACHE");
    (void)snprintf(path, 512, "%s/venv/bin/python", cache == NULL ? ".cache/deps" : cache);
    char flag[] = "-c";
    char program[] = "import importlib.util as u; raise SystemExit(u.find_spec('pyarrow') is None)";
    return io_exists(path) && run_python(path, flag, program) == 0;
}

TEST(ipc, pyarrow_reads_back_every_type)
{
    // Goal: others read our streams, value for value. Method: tests/arrow/read_back.py compares
    // what pyarrow reads with its own copy of the sample.
    char python[512];
    if (!find_python(python)) {
        print_message("skipped: ipc.pyarrow_reads_back_every_type (no pyarrow)\n");
        skip();
    }
    struct sample sample;
    sample_init(&sample);
    struct buf out CLEANUP(buf_fini) = {0};
    write_stream(&sample, &out);
    char path[300];
    char script[] = "tests/arrow/read_back.py";
    (void)snprintf(path, sizeof(path), "%s/sample.arrows", test_folder());
    CHECK_OK(io_write_file_atomic(path, buf_slice(&out), 0600, NULL));
    assert_int_equal(run_python(python, script, path), 0);
}

static uint32_t word_at(const struct buf *out, size_t at)
{
    uint32_t word;
    CHECK(at + 4 <= out->len);
    memcpy(&word, out->ptr + at, 4);
    return word;
}

TEST(ipc, messages_are_framed_and_aligned)
{
    // Goal: a reader can walk the stream. Method: follow continuation, metadata and body lengths
    // by the Message table's vtable, to the end-of-stream mark.
    struct sample sample;
    sample_init(&sample);
    struct buf out CLEANUP(buf_fini) = {0};
    write_stream(&sample, &out);
    size_t at = 0;
    unsigned messages = 0;
    while (word_at(&out, at) == 0xFFFFFFFFu && word_at(&out, at + 4) != 0) {
        size_t metadata = word_at(&out, at + 4);
        assert_int_equal(metadata % 8, 0);
        size_t root = at + 8;
        size_t table = root + word_at(&out, root);
        size_t vtable = table - word_at(&out, table);
        size_t body_slot = word_at(&out, vtable + 10) & 0xFFFF;
        size_t body = word_at(&out, table + body_slot);
        assert_int_equal(body % 8, 0);
        at = root + metadata + body;
        messages++;
    }
    assert_int_equal(messages, 1 + 2 * 3); /* each batch with its dictionary */
    assert_int_equal(at + 8, out.len);
}

TEST(ipc, a_refused_column_leaves_nothing_behind)
{
    struct ArrowSchema child = {.format = "+us:1", .name = "either"};
    struct ArrowSchema *children[] = {&child};
    struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 1, .children = children};
    struct buf out CLEANUP(buf_fini) = {0};
    buf_append_str(&out, "kept");
    struct errinfo info;
    CHECK_ERR(ERR_UNSUPPORTED, ipc_write_schema(&schema, &out, &info));
    CHECK(strstr(info.message, "\"either\"") != NULL);
    assert_int_equal(out.len, 4);
}

TEST(ipc, every_failed_allocation_is_a_clean_error)
{
    struct sample sample;
    sample_init(&sample);
    struct ArrowArray slice = *sample.batch;
    slice.offset = 1;
    slice.length = 3;
    struct errinfo info;
    SWEEP_ALLOC(fault)
    {
        struct buf out CLEANUP(buf_fini) = {0};
        enum err schema = ipc_write_schema(sample.schema, &out, &info);
        CHECK(schema == ERR_OK || schema == ERR_NOMEM);
        if (schema == ERR_OK) {
            enum err batch = ipc_write_batch(sample.schema, &slice, &out, &info);
            CHECK(batch == ERR_OK || batch == ERR_NOMEM);
        }
    }
}
