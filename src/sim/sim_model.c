#include "sim/sim_model.h"

#include "base/mem.h"
#include "kernel/kernel.h"
#include "sim/sim_disk.h"

#define KEY_BYTES_MAX 64u

static int compare_keys(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static size_t make_key(char *at, uint64_t *random, uint64_t shape)
{
    uint64_t n = sim_random(random);
    size_t len = 0;
    switch (shape) {
    case 0: /* dense decimal text */
        return (size_t)snprintf(at, KEY_BYTES_MAX, "user%020llu", (unsigned long long)(n % 5000));
    case 1: /* big-endian numbers, some with a tail */
        n = __builtin_bswap64(n % 100000);
        memcpy(at, &n, 8);
        len = 8 + sim_random_below(random, 3);
        memset(at + 8, 'x', len - 8);
        return len;
    case 2: /* hexadecimal hashes */
        return (size_t)snprintf(at, KEY_BYTES_MAX, "%016llx%08llx", (unsigned long long)n,
                                (unsigned long long)(sim_random(random) >> 32));
    case 3: /* long common prefixes: codes tie */
        return (size_t)snprintf(at, KEY_BYTES_MAX, "https://%c.example/%s/%llu", 'a' + (int)(n & 3),
                                (n & 4) != 0 ? "a/rather/long/path/to" : "x",
                                (unsigned long long)(n >> 54));
    default: /* any bytes, any length */
        len = sim_random_below(random, 12);
        for (size_t i = 0; i < len; i++) {
            uint64_t byte = sim_random(random);
            at[i] = (char)((byte & 3) == 0 ? 0 : (byte & 3) == 1 ? 255 : byte >> 8);
        }
        return len;
    }
}

void sim_model_init(struct sim_model *model, uint64_t *random, uint32_t key_count)
{
    ASSERT(key_count <= SIM_KEYS_MAX);
    memset(model, 0, sizeof(*model));
    model->key_bytes = mem_alloc((size_t)key_count * KEY_BYTES_MAX);
    model->version_capacity = 1024;
    model->versions = mem_calloc(model->version_capacity, sizeof(*model->versions));
    ASSERT(model->key_bytes != NULL && model->versions != NULL);
    model->version_count = 1;
    uint64_t shape = sim_random_below(random, 6);
    for (uint32_t i = 0; i < key_count; i++) {
        char *at = model->key_bytes + (size_t)i * KEY_BYTES_MAX;
        size_t len = make_key(at, random, shape == 5 ? sim_random_below(random, 5) : shape);
        model->keys[i] = (struct slice){at, len};
    }
    qsort(model->keys, key_count, sizeof(model->keys[0]), compare_keys);
    for (uint32_t i = 0; i < key_count; i++) {
        if (model->key_count == 0 ||
            !slice_equal(model->keys[model->key_count - 1], model->keys[i])) {
            model->keys[model->key_count++] = model->keys[i];
        }
    }
}

void sim_model_fini(struct sim_model *model)
{
    mem_free(model->key_bytes);
    mem_free(model->versions);
}

void sim_model_put(struct sim_model *model, uint32_t key, uint64_t commit, uint32_t value)
{
    ASSERT(key < model->key_count && commit >= model->committed);
    if (model->version_count == model->version_capacity) {
        model->version_capacity *= 2;
        model->versions =
            mem_realloc(model->versions, model->version_capacity * sizeof(*model->versions));
        ASSERT(model->versions != NULL);
    }
    model->versions[model->version_count] = (struct sim_version){commit, value, model->newest[key]};
    model->newest[key] = model->version_count++;
    model->committed = commit;
}

bool sim_model_get(const struct sim_model *model, uint32_t key, uint64_t snapshot,
                   uint32_t *ret_value)
{
    uint32_t at = model->newest[key];
    while (at != 0 && model->versions[at].commit > snapshot) {
        at = model->versions[at].before;
    }
    if (at == 0 || model->versions[at].value == SIM_DELETED) {
        return false;
    }
    *ret_value = model->versions[at].value;
    return true;
}

uint64_t sim_model_changed(const struct sim_model *model, uint32_t key)
{
    return model->newest[key] == 0 ? 0 : model->versions[model->newest[key]].commit;
}

void sim_model_cut(struct sim_model *model, uint64_t commit)
{
    for (uint32_t i = 0; i < model->key_count; i++) {
        while (model->newest[i] != 0 && model->versions[model->newest[i]].commit > commit) {
            model->newest[i] = model->versions[model->newest[i]].before;
        }
    }
    model->committed = commit;
}

struct slice sim_model_value(uint32_t value, char *buf)
{
    uint64_t random = value;
    uint64_t kind = sim_random_below(&random, 16);
    size_t len = kind == 0   ? 0
                 : kind == 1 ? 1020 + sim_random_below(&random, 10)
                 : kind == 2 ? sim_random_below(&random, SIM_VALUE_BYTES_MAX)
                             : sim_random_below(&random, 200);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = sim_random(&random);
        memcpy(buf + i, &word, len - i < 8 ? len - i : 8);
    }
    return (struct slice){buf, len};
}
