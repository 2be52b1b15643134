/* Grants: what one query may read and write, by callbacks of the program.
 *
 * The name of a grant is 128 random bits, so that holding an address is as good as being allowed;
 * the registry is the only way from a name to a grant. A file handle holds the grant's state, not
 * the right to use it: every call asks again whether the grant is open and has not expired. */
#include "engine/duckdb/instant_footers.hpp"
#include "engine/duckdb/instants.hpp"
#include "engine/duckdb/module.hpp"
#include "engine/duckdb/readahead.hpp"

extern "C" {
#include "base/clock.h"
#include "base/hash.h"
}

namespace moat
{

using std::string;

static string text_of(struct slice text)
{
    return string(text.ptr == nullptr ? "" : text.ptr, text.len);
}

static std::vector<grant_object> copy_objects(const struct engine_grant_spec &spec)
{
    std::vector<grant_object> objects;
    objects.reserve(spec.object_count);
    for (size_t i = 0; i < spec.object_count; i++) {
        const struct engine_object &object = spec.objects[i];
        objects.push_back({object.size_bytes, object.modified_us, text_of(object.etag),
                           text_of(object.extension), object.has_hidden});
    }
    return objects;
}

static bool has_instants(const struct engine_scan_spec &spec)
{
    for (size_t i = 0; i < spec.column_count; i++) {
        if (slice_find(spec.columns[i].type, slice_of(INSTANT_NAME)) != SIZE_MAX) {
            return true;
        }
    }
    return false;
}

grant_state::grant_state(const struct engine_grant_spec &spec, string id_)
    : id(std::move(id_)), objects(copy_objects(spec)),
      writable_count(spec.write == nullptr ? 0 : spec.writable_count), scan_count(spec.scan_count),
      has_rows(spec.rows != nullptr), scans(spec.scans, spec.scans + spec.scan_count),
      offers(new scan_offers[spec.scan_count]), rows(spec.rows), read(spec.read), write(spec.write),
      context(spec.context), expires_wall_us(spec.expires_wall_us),
      taken(spec.write == nullptr ? 0 : spec.writable_count, false)
{
    for (size_t i = 0; i < scan_count; i++) {
        offers[i].ahead = std::make_shared<read_ahead>();
        if (has_instants(*scans[i])) {
            offers[i].instants = std::make_shared<instant_footers>();
        }
    }
}

void grant_state::check_usable(UNUSED const std::unique_lock<std::mutex> &held) const
{
    if (is_closed) {
        throw_err(ERR_DENIED, nullptr, "no grant for object",
                  "The query that it was for has ended.");
    }
    if (expires_wall_us != 0 && clock_wall_us() >= expires_wall_us) {
        throw_err(ERR_DENIED, nullptr, "the grant for this object has expired",
                  "Run the query again.");
    }
}

grant_state::use::use(grant_state &grant_) : grant(grant_)
{
    std::unique_lock<std::mutex> held(grant.lock);
    grant.check_usable(held);
    grant.in_flight++;
}

grant_state::use::~use()
{
    std::unique_lock<std::mutex> held(grant.lock);
    if (--grant.in_flight == 0 && grant.is_closed) {
        grant.idle.notify_all();
    }
}

void grant_state::read_at(size_t index, uint64_t offset, void *ret_bytes, size_t len)
{
    use in_use(*this);
    struct errinfo info;
    errinfo_init(&info);
    enum err err = read(context, index, offset, ret_bytes, len, &info);
    if (err != ERR_OK) {
        throw_errinfo(err, info);
    }
    bytes_read += len;
}

void grant_state::write_next(size_t index, const void *bytes, size_t len)
{
    use in_use(*this);
    struct errinfo info;
    errinfo_init(&info);
    enum err err = write(context, index, bytes, len, &info);
    if (err != ERR_OK) {
        throw_errinfo(err, info);
    }
    bytes_written += len;
}

const struct engine_scan_spec &grant_state::scan(size_t index, UNUSED const use &in_use) const
{
    return *scans[index];
}

void grant_state::offer(size_t scan_index, const struct engine_scan_file *files, size_t count)
{
    scan_offers &offered = offers[scan_index];
    std::lock_guard<std::mutex> held(offered.lock);
    for (size_t i = 0; i < count; i++) {
        offered.files.emplace(files[i].object, &files[i]);
    }
}

bool grant_state::find_offered(size_t scan_index, size_t object, uint64_t *ret_size_bytes,
                               string *ret_etag)
{
    if (scan_index >= scan_count) {
        return false;
    }
    use in_use(*this);
    scan_offers &offered = offers[scan_index];
    std::lock_guard<std::mutex> held(offered.lock);
    auto found = offered.files.find(object);
    if (found == offered.files.end()) {
        return false;
    }
    *ret_size_bytes = found->second->size_bytes;
    *ret_etag = text_of(found->second->etag);
    return true;
}

static void advise(const struct engine_scan_spec &spec, size_t object,
                   const std::vector<struct engine_scan_extent> &extents)
{
    if (!extents.empty()) {
        spec.advise(spec.context, object, extents.data(), extents.size());
    }
}

void grant_state::read_scan_at(size_t scan_index, size_t object, uint64_t size_bytes,
                               uint64_t offset, void *ret_bytes, size_t len)
{
    use in_use(*this);
    struct errinfo info;
    errinfo_init(&info);
    const struct engine_scan_spec &spec = *scans[scan_index];
    read_ahead &ahead = *offers[scan_index].ahead;
    if (spec.advise != nullptr) {
        advise(spec, object, ahead.before(object, offset, len));
    }
    enum err err = spec.read(spec.context, object, offset, ret_bytes, len, &info);
    if (err != ERR_OK) {
        throw_errinfo(err, info);
    }
    bytes_read += len;
    if (spec.advise != nullptr) {
        advise(spec, object, ahead.after(object, size_bytes, offset, ret_bytes, len));
    }
    if (offers[scan_index].instants != nullptr) {
        offers[scan_index].instants->show(
            object, size_bytes, offset, ret_bytes, len,
            [&](uint64_t from, void *ret_more, size_t more) {
                enum err failed = spec.read(spec.context, object, from, ret_more, more, &info);
                if (failed != ERR_OK) {
                    throw_errinfo(failed, info);
                }
                bytes_read += more;
            });
    }
}

const struct engine_rows &grant_state::the_rows(UNUSED const use &in_use) const
{
    if (rows == nullptr) {
        throw_err(ERR_DENIED, nullptr, "the grant has no rows", "");
    }
    return *rows;
}

void grant_state::open_rows()
{
    std::unique_lock<std::mutex> held(lock);
    check_usable(held);
    if (has_rows_open) {
        throw_err(ERR_EXISTS, nullptr, "the rows of a grant are read once", "");
    }
    has_rows_open = true;
}

void grant_state::next_rows(struct ArrowArray *ret_batch)
{
    use in_use(*this);
    struct errinfo info;
    errinfo_init(&info);
    enum err err = rows->next(rows->context, ret_batch, &info);
    if (err != ERR_OK) {
        throw_errinfo(err, info);
    }
}

void grant_state::open_for_reading()
{
    std::unique_lock<std::mutex> held(lock);
    check_usable(held);
    files_opened++;
}

void grant_state::open_for_writing(size_t index)
{
    std::unique_lock<std::mutex> held(lock);
    check_usable(held);
    if (taken.at(index)) {
        throw_err(ERR_EXISTS, nullptr, "the object to write has been written already",
                  "Give each COPY an object of its own.");
    }
    taken.at(index) = true;
    files_opened++;
}

bool grant_state::was_written(size_t index)
{
    std::unique_lock<std::mutex> held(lock);
    return taken.at(index);
}

void grant_state::close()
{
    std::unique_lock<std::mutex> held(lock);
    is_closed = true;
    idle.wait(held, [this] { return in_flight == 0; });
}

void grant_registry::add(const std::shared_ptr<grant_state> &grant)
{
    std::lock_guard<std::mutex> held(lock);
    grants.emplace(grant->id, grant);
}

void grant_registry::remove(const string &id)
{
    std::lock_guard<std::mutex> held(lock);
    grants.erase(id);
}

std::shared_ptr<grant_state> grant_registry::find(const string &id)
{
    std::lock_guard<std::mutex> held(lock);
    auto found = grants.find(id);
    return found == grants.end() ? nullptr : found->second;
}

enum err grant_open(struct engine *engine, const struct identity *,
                    const struct engine_grant_spec *spec, struct engine_grant **ret_grant,
                    struct errinfo *info) noexcept
{
    return guarded(info, [&] {
        ASSERT(spec->object_count == 0 || spec->read != nullptr);
        uint8_t random[16];
        char id[2 * sizeof(random) + 1];
        enum err err = random_bytes(random, sizeof(random));
        if (err != ERR_OK) {
            return errinfo_set(info, err, nullptr, "no random bytes to name a grant with");
        }
        hash_hex(random, sizeof(random), id);
        auto grant = std::make_unique<engine_grant>();
        grant->state = std::make_shared<grant_state>(*spec, id);
        grant->registry = engine->grants;
        grant->registry->add(grant->state);
        *ret_grant = grant.release();
        return ERR_OK;
    });
}

void grant_close(struct engine_grant *grant) noexcept
{
    grant->registry->remove(grant->state->id);
    grant->state->close();
    delete grant;
}

void grant_uri(const struct engine_grant *grant, size_t index, struct buf *ret_uri) noexcept
{
    ASSERT(index < grant->state->objects.size());
    buf_printf(ret_uri, "moat://%s/%zu%s", grant->state->id.c_str(), index,
               grant->state->objects[index].extension.c_str());
}

void grant_uri_out(const struct engine_grant *grant, size_t index, struct buf *ret_uri) noexcept
{
    ASSERT(index < grant->state->writable_count);
    buf_printf(ret_uri, "moat://%s/out%zu", grant->state->id.c_str(), index);
}

void grant_uri_scan(const struct engine_grant *grant, size_t index, struct buf *ret_uri) noexcept
{
    ASSERT(index < grant->state->scan_count);
    buf_printf(ret_uri, "moat://%s/s%zu", grant->state->id.c_str(), index);
}

void grant_uri_rows(const struct engine_grant *grant, struct buf *ret_uri) noexcept
{
    ASSERT(grant->state->has_rows);
    buf_printf(ret_uri, "moat://%s/rows", grant->state->id.c_str());
}

struct engine_grant_counters grant_count(const struct engine_grant *grant) noexcept
{
    return {grant->state->files_opened, grant->state->bytes_read, grant->state->bytes_written};
}

} // namespace moat
