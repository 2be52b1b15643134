/* moat://: the only file system that the engine may touch.
 *
 *   moat://<grant>/<n><extension>   object n of an open grant, read only
 *   moat://<grant>/s<m>/<n>         file n of scan m of an open grant, once files() has named it
 *   moat://<grant>/out<n>[.ext]     sink n of an open grant, written once from front to back
 *   moat://<grant>/out/f<n>.ext     the same: what a COPY calls the files of its folder
 *   moat://<spill>/<file>           the engine's own spill files, in a folder of this engine
 *
 * Spill files are here too because DuckDB adds its temporary folder to what statements may open,
 * where one session would then read what another has spilled. Here only the engine's buffer
 * manager, which opens files for no session, gets at them. */
#include "engine/duckdb/held.hpp"
#include "engine/duckdb/module.hpp"

#include <exception>

#include <duckdb/common/exception.hpp>
#include <duckdb/common/file_opener.hpp>
#include <duckdb/common/file_system.hpp>
#include <duckdb/common/string_util.hpp>
#include <duckdb/common/types/timestamp.hpp>

extern "C" {
#include "base/checked.h"
}

namespace moat
{

using duckdb::FileHandle;
using duckdb::FileOpener;
using duckdb::FileOpenFlags;
using duckdb::FileSystem;
using duckdb::idx_t;
using duckdb::optional_ptr;
using std::string;

static const string SCHEME = "moat://";
static const size_t ID_CHARS = 32;

struct address {
    string id;
    string rest; /* behind the slash; empty for the folder itself */
    bool is_out = false;
    size_t scan = SIZE_MAX; /* SIZE_MAX: of none */
    size_t index = 0;
    string extension;
};

/* The digits at the start of `text`, which are taken off; UINT64_MAX if there are none: no object
 * has it. False for a number that is none. */
static bool take_number(string *text, size_t *ret_number)
{
    size_t digits = text->find_first_not_of("0123456789");
    digits = digits == string::npos ? text->size() : digits;
    uint64_t number = UINT64_MAX;
    if (digits > 0 && !slice_to_u64({text->data(), digits}, &number)) {
        return false;
    }
    *ret_number = number;
    text->erase(0, digits);
    return true;
}

/* False for anything that grant_uri and grant_uri_out would not have written. */
static bool parse_address(const string &path, struct address *ret_address)
{
    if (path.compare(0, SCHEME.size(), SCHEME) != 0 || path.size() < SCHEME.size() + ID_CHARS) {
        return false;
    }
    struct address address;
    address.id = path.substr(SCHEME.size(), ID_CHARS);
    if (address.id.find_first_not_of("0123456789abcdef") != string::npos) {
        return false;
    }
    size_t at = SCHEME.size() + ID_CHARS;
    if (at < path.size() && path[at] != '/') {
        return false;
    }
    address.rest = at < path.size() ? path.substr(at + 1) : string();
    string name = address.rest;
    if (name.compare(0, 3, "out") == 0) {
        address.is_out = true;
        name.erase(0, 3);
        if (name.compare(0, 2, "/f") == 0) {
            name.erase(0, 2);
        }
    }
    if (name.size() > 1 && name[0] == 's' && name[1] >= '0' && name[1] <= '9') {
        name.erase(0, 1);
        if (!take_number(&name, &address.scan)) {
            return false;
        }
        if (!name.empty() && name[0] != '/') {
            return false;
        }
        name.erase(0, 1);
    }
    if (!take_number(&name, &address.index)) {
        return false;
    }
    address.extension = name;
    *ret_address = std::move(address);
    return true;
}

/* What there is at an address. */
struct target {
    std::shared_ptr<grant_state> grant;
    uint64_t size_bytes = 0;
    int64_t modified_us = 0;
    string etag;
};

class object_handle : public FileHandle
{
  public:
    object_handle(FileSystem &fs, const string &path_, FileOpenFlags flags_, struct target found_,
                  const struct address &address, optional_ptr<FileOpener> opener)
        : FileHandle(fs, path_, flags_), found(std::move(found_)), scan(address.scan),
          index(address.index), is_out(address.is_out)
    {
        auto client = FileOpener::TryGetClientContext(opener);
        if (client) {
            context = client->shared_from_this();
            is_cancelled = cancel_flag_of(*client);
            end = is_out ? take_held_end(*client, path_) : nullptr;
        }
    }

    /* Not where an error is on its way: what is written so far is no whole. */
    void Close() override
    {
        if (is_out && !is_closed && std::uncaught_exceptions() == 0) {
            is_closed = true;
            if (end != nullptr && end->holds()) {
                std::string bytes = end->finish();
                found.grant->write_next(index, bytes.data(), bytes.size());
            }
            found.grant->write_next(index, nullptr, 0);
        }
    }

    void write(const void *bytes, size_t len)
    {
        if (end != nullptr && end->holds()) {
            end->append(bytes, len);
        } else {
            found.grant->write_next(index, bytes, len);
        }
        position += len;
    }

    idx_t size() const
    {
        return is_out ? position : found.size_bytes;
    }

    void read_at(uint64_t offset, void *ret_bytes, size_t len) const
    {
        if (scan == SIZE_MAX) {
            found.grant->read_at(index, offset, ret_bytes, len);
        } else {
            found.grant->read_scan_at(scan, index, found.size_bytes, offset, ret_bytes, len);
        }
    }

    /* A cancelled query must not begin another read of slow storage. */
    void check_cancelled() const
    {
        auto client = context.lock();
        if ((is_cancelled != nullptr && *is_cancelled) || (client && client->IsInterrupted())) {
            throw duckdb::InterruptException();
        }
    }

    const struct target found;
    const size_t scan;
    const size_t index;
    const bool is_out;
    idx_t position = 0;

  private:
    bool is_closed = false;
    duckdb::weak_ptr<duckdb::ClientContext> context;
    cancel_flag is_cancelled;
    std::shared_ptr<held_end> end; /* may be null */
};

class moat_file_system : public FileSystem
{
  public:
    moat_file_system(std::shared_ptr<grant_registry> grants_, string spill_name_,
                     string spill_folder_, const struct engine_spill &spill)
        : grants(std::move(grants_)), spill_name(std::move(spill_name_)),
          spill_folder(std::move(spill_folder_)),
          local(spill.open != nullptr ? make_spill_system(spill) : FileSystem::CreateLocal())
    {
    }

    string GetName() const override
    {
        return "moat";
    }
    bool CanHandleFile(const string &path) override
    {
        return path.compare(0, SCHEME.size(), SCHEME) == 0;
    }
    string CanonicalizePath(const string &path, optional_ptr<FileOpener>) override
    {
        return path;
    }
    string PathSeparator(const string &) override
    {
        return "/";
    }
    bool IsPathAbsolute(const string &) override
    {
        return true;
    }
    bool CanSeek() override
    {
        return true;
    }
    bool OnDiskFile(FileHandle &) override
    {
        return false; /* merges neighbouring reads, which is right for every storage */
    }
    duckdb::FileType GetFileType(FileHandle &) override
    {
        return duckdb::FileType::FILE_TYPE_REGULAR;
    }

    duckdb::unique_ptr<FileHandle> OpenFile(const string &path, FileOpenFlags flags,
                                            optional_ptr<FileOpener> opener) override;
    int64_t Read(FileHandle &handle, void *buffer, int64_t nr_bytes) override;
    void Read(FileHandle &handle, void *buffer, int64_t nr_bytes, idx_t location) override;
    int64_t Write(FileHandle &handle, void *buffer, int64_t nr_bytes) override;
    void Write(FileHandle &handle, void *buffer, int64_t nr_bytes, idx_t location) override;
    void Seek(FileHandle &handle, idx_t location) override;
    void FileSync(FileHandle &) override
    {
    }
    void Reset(FileHandle &handle) override
    {
        Seek(handle, 0);
    }
    idx_t SeekPosition(FileHandle &handle) override
    {
        return of(handle).position;
    }
    int64_t GetFileSize(FileHandle &handle) override
    {
        return static_cast<int64_t>(of(handle).size());
    }
    duckdb::timestamp_t GetLastModifiedTime(FileHandle &handle) override
    {
        return duckdb::timestamp_t(of(handle).found.modified_us);
    }
    string GetVersionTag(FileHandle &handle) override
    {
        return of(handle).found.etag;
    }

    bool FileExists(const string &path, optional_ptr<FileOpener> opener) override;
    void RemoveFile(const string &path, optional_ptr<FileOpener> opener) override;
    bool TryRemoveFile(const string &path, optional_ptr<FileOpener> opener) override;
    duckdb::vector<duckdb::OpenFileInfo> Glob(const string &path, FileOpener *opener) override;
    bool DirectoryExists(const string &path, optional_ptr<FileOpener> opener) override;
    void CreateDirectory(const string &path, optional_ptr<FileOpener> opener) override;
    void RemoveDirectory(const string &path, optional_ptr<FileOpener> opener) override;
    bool ListFiles(const string &path, const std::function<void(const string &, bool)> &callback,
                   FileOpener *opener) override;

  private:
    static object_handle &of(FileHandle &handle)
    {
        return static_cast<object_handle &>(handle);
    }
    bool is_spill(const string &path, optional_ptr<FileOpener> opener, string *ret_path) const;
    bool find_target(const struct address &address, struct target *ret_target) const;

    const std::shared_ptr<grant_registry> grants;
    const string spill_name;
    const string spill_folder;
    const duckdb::unique_ptr<FileSystem> local;
};

/* True for the engine's own spill files when no session asks. */
bool moat_file_system::is_spill(const string &path, optional_ptr<FileOpener> opener,
                                string *ret_path) const
{
    struct address address;
    if (spill_folder.empty() || !parse_address(path, &address) || address.id != spill_name ||
        FileOpener::TryGetClientContext(opener)) {
        return false;
    }
    if (address.rest.find('/') != string::npos || address.rest.find("..") != string::npos) {
        return false;
    }
    *ret_path = address.rest.empty() ? spill_folder : spill_folder + "/" + address.rest;
    return true;
}

/* False if the address names no object, file or sink of an open grant. */
bool moat_file_system::find_target(const struct address &address, struct target *ret_target) const
{
    struct target target;
    target.grant = grants->find(address.id);
    if (target.grant == nullptr) {
        return false;
    }
    if (address.scan != SIZE_MAX) {
        if (!address.extension.empty() ||
            !target.grant->find_offered(address.scan, address.index, &target.size_bytes,
                                        &target.etag)) {
            return false;
        }
    } else if (address.is_out) {
        if (address.index >= target.grant->writable_count) {
            return false;
        }
    } else {
        if (address.index >= target.grant->objects.size() ||
            address.extension != target.grant->objects[address.index].extension) {
            return false;
        }
        const grant_object &object = target.grant->objects[address.index];
        target.size_bytes = object.size_bytes;
        target.modified_us = object.modified_us;
        target.etag = object.etag;
    }
    *ret_target = std::move(target);
    return true;
}

duckdb::unique_ptr<FileHandle> moat_file_system::OpenFile(const string &path, FileOpenFlags flags,
                                                          optional_ptr<FileOpener> opener)
{
    string real;
    if (is_spill(path, opener, &real)) {
        return local->OpenFile(real, flags, nullptr);
    }
    struct address address;
    struct target target;
    if (!parse_address(path, &address) || !find_target(address, &target)) {
        throw_err(ERR_DENIED, nullptr, "no grant for object", "");
    }
    if (flags.OpenForWriting() != address.is_out || flags.OpenForReading() == address.is_out) {
        throw_err(ERR_DENIED, nullptr,
                  address.is_out ? "an object that is written cannot be read"
                                 : "the object may only be read",
                  "");
    }
    if (address.is_out) {
        target.grant->open_for_writing(address.index);
    } else {
        target.grant->open_for_reading();
    }
    return duckdb::make_uniq<object_handle>(*this, path, flags, std::move(target), address, opener);
}

void moat_file_system::Read(FileHandle &handle, void *buffer, int64_t nr_bytes, idx_t location)
{
    object_handle &object = of(handle);
    uint64_t end;
    if (nr_bytes < 0 || !checked_add(location, static_cast<uint64_t>(nr_bytes), &end) ||
        end > object.size()) {
        throw_err(ERR_CORRUPT, nullptr, "the file ends before what it says it holds",
                  "It may have been cut or overwritten while it was read.");
    }
    object.check_cancelled();
    if (nr_bytes > 0) {
        object.read_at(location, buffer, static_cast<size_t>(nr_bytes));
    }
}

int64_t moat_file_system::Read(FileHandle &handle, void *buffer, int64_t nr_bytes)
{
    object_handle &object = of(handle);
    idx_t rest = object.size() - std::min(object.position, object.size());
    int64_t len = std::min(nr_bytes, static_cast<int64_t>(rest));
    Read(handle, buffer, len, object.position);
    object.position += static_cast<idx_t>(len);
    return len;
}

int64_t moat_file_system::Write(FileHandle &handle, void *buffer, int64_t nr_bytes)
{
    object_handle &object = of(handle);
    object.check_cancelled();
    if (nr_bytes > 0) {
        object.write(buffer, static_cast<size_t>(nr_bytes));
    }
    return nr_bytes;
}

void moat_file_system::Write(FileHandle &handle, void *buffer, int64_t nr_bytes, idx_t location)
{
    if (location != of(handle).position) {
        throw_err(ERR_UNSUPPORTED, nullptr,
                  "this format is not written from front to back, which an object needs", "");
    }
    (void)Write(handle, buffer, nr_bytes);
}

void moat_file_system::Seek(FileHandle &handle, idx_t location)
{
    object_handle &object = of(handle);
    if (object.is_out && location != object.position) {
        throw_err(ERR_UNSUPPORTED, nullptr,
                  "this format is not written from front to back, which an object needs", "");
    }
    object.position = location;
}

/* A sink never exists beforehand, or the engine would write to a temporary name beside it. */
bool moat_file_system::FileExists(const string &path, optional_ptr<FileOpener> opener)
{
    string real;
    if (is_spill(path, opener, &real)) {
        return local->FileExists(real, nullptr);
    }
    struct address address;
    struct target target;
    return parse_address(path, &address) && !address.is_out && find_target(address, &target);
}

void moat_file_system::RemoveFile(const string &path, optional_ptr<FileOpener> opener)
{
    string real;
    if (!is_spill(path, opener, &real)) {
        throw_err(ERR_DENIED, nullptr, "an object cannot be removed by a statement", "");
    }
    local->RemoveFile(real, nullptr);
}

/* Called to clean up after a failed COPY, where the owner of the sink knows better. */
bool moat_file_system::TryRemoveFile(const string &path, optional_ptr<FileOpener> opener)
{
    string real;
    return is_spill(path, opener, &real) && local->TryRemoveFile(real, nullptr);
}

/* An address is never a pattern: there is nothing to list, and a grant names all that it gives.
 * Finding nothing would be an answer, and some functions take it for an empty table. */
duckdb::vector<duckdb::OpenFileInfo> moat_file_system::Glob(const string &path, FileOpener *)
{
    struct address address;
    struct target target;
    if (!parse_address(path, &address) || address.is_out || !find_target(address, &target)) {
        throw_err(ERR_DENIED, nullptr, "no grant for object", "");
    }
    duckdb::vector<duckdb::OpenFileInfo> found;
    found.emplace_back(path);
    return found;
}

bool moat_file_system::DirectoryExists(const string &path, optional_ptr<FileOpener> opener)
{
    string real;
    struct address address;
    if (is_spill(path, opener, &real)) {
        return local->DirectoryExists(real, nullptr);
    }
    /* A COPY into several files looks for their folder. */
    auto grant =
        parse_address(path, &address) && address.rest == "out" ? grants->find(address.id) : nullptr;
    return grant != nullptr && grant->writable_count > 0;
}

void moat_file_system::CreateDirectory(const string &path, optional_ptr<FileOpener> opener)
{
    string real;
    if (!is_spill(path, opener, &real)) {
        throw_err(ERR_DENIED, nullptr, "a statement cannot make folders", "");
    }
    local->CreateDirectory(real, nullptr);
}

void moat_file_system::RemoveDirectory(const string &path, optional_ptr<FileOpener> opener)
{
    string real;
    if (!is_spill(path, opener, &real)) {
        throw_err(ERR_DENIED, nullptr, "a statement cannot remove folders", "");
    }
    local->RemoveDirectory(real, nullptr);
}

bool moat_file_system::ListFiles(const string &path,
                                 const std::function<void(const string &, bool)> &callback,
                                 FileOpener *opener)
{
    string real;
    return is_spill(path, opener, &real) && local->ListFiles(real, callback, nullptr);
}

bool tells_statistics(grant_registry &grants, const string &path)
{
    struct address address;
    if (!parse_address(path, &address) || address.is_out) {
        return false;
    }
    auto grant = grants.find(address.id);
    return grant != nullptr && address.index < grant->objects.size() &&
           !grant->objects[address.index].has_hidden;
}

std::shared_ptr<grant_state> find_scan(grant_registry &grants, const string &path,
                                       size_t *ret_index)
{
    struct address address;
    if (!parse_address(path, &address) || address.rest != "s" + std::to_string(address.scan)) {
        return nullptr;
    }
    auto grant = grants.find(address.id);
    if (grant == nullptr || address.scan >= grant->scan_count) {
        return nullptr;
    }
    *ret_index = address.scan;
    return grant;
}

duckdb::unique_ptr<FileSystem> make_file_system(std::shared_ptr<grant_registry> grants,
                                                string spill_name, string spill_folder,
                                                const struct engine_spill &spill)
{
    return duckdb::make_uniq<moat_file_system>(std::move(grants), std::move(spill_name),
                                               std::move(spill_folder), spill);
}

} // namespace moat
