/* Spill files that somebody else opens (engine.h, struct engine_spill): read and written here by
 * their descriptors, so that a process without a file system can spill. Paths are "spill/<name>";
 * the folder itself always exists and is never listed. */
#include "engine/duckdb/module.hpp"

#include <duckdb/common/file_opener.hpp>
#include <duckdb/common/file_system.hpp>

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

namespace moat
{

using duckdb::FileHandle;
using duckdb::FileOpener;
using duckdb::FileOpenFlags;
using duckdb::FileSystem;
using duckdb::idx_t;
using duckdb::optional_ptr;
using std::string;

static const string FOLDER = "spill/";

class spill_handle : public FileHandle
{
  public:
    spill_handle(FileSystem &fs, const string &path_, FileOpenFlags flags_, int fd_)
        : FileHandle(fs, path_, flags_), fd(fd_)
    {
    }
    ~spill_handle() override
    {
        Close();
    }
    void Close() override
    {
        if (fd >= 0) {
            (void)::close(fd);
            fd = -1;
        }
    }

    int fd;
    idx_t position = 0;
};

[[noreturn]] static void throw_io(const char *what)
{
    bool is_full = errno == ENOSPC || errno == EFBIG || errno == EDQUOT;
    throw_err(is_full ? ERR_LIMIT : ERR_IO, nullptr,
              string("a temporary file of the engine cannot be ") + what,
              is_full ? "There is no room left for what the query spills." : "");
}

class spill_file_system : public FileSystem
{
  public:
    explicit spill_file_system(const struct engine_spill &spill_) : spill(spill_)
    {
    }

    string GetName() const override
    {
        return "spill";
    }
    duckdb::unique_ptr<FileHandle> OpenFile(const string &path, FileOpenFlags flags,
                                            optional_ptr<FileOpener>) override
    {
        int fd = -1;
        struct errinfo info;
        errinfo_init(&info);
        bool may_create = flags.CreateFileIfNotExists() || flags.OverwriteExistingFile();
        enum err err = spill.open(spill.context, name_of(path), may_create, &fd, &info);
        if (err != ERR_OK) {
            if (err == ERR_NOT_FOUND && flags.ReturnNullIfNotExists()) {
                return nullptr;
            }
            throw_errinfo(err, info);
        }
        auto handle = duckdb::make_uniq<spill_handle>(*this, path, flags, fd);
        if (flags.OverwriteExistingFile()) {
            Truncate(*handle, 0);
        }
        return std::move(handle);
    }
    void Read(FileHandle &handle, void *buffer, int64_t nr_bytes, idx_t location) override
    {
        auto *at = static_cast<char *>(buffer);
        while (nr_bytes > 0) {
            ssize_t got = pread(of(handle).fd, at, static_cast<size_t>(nr_bytes),
                                static_cast<off_t>(location));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                throw_io("read");
            }
            at += got;
            nr_bytes -= got;
            location += static_cast<idx_t>(got);
        }
    }
    int64_t Read(FileHandle &handle, void *buffer, int64_t nr_bytes) override
    {
        auto rest = GetFileSize(handle) - static_cast<int64_t>(of(handle).position);
        int64_t len = std::max<int64_t>(0, std::min(nr_bytes, rest));
        Read(handle, buffer, len, of(handle).position);
        of(handle).position += static_cast<idx_t>(len);
        return len;
    }
    void Write(FileHandle &handle, void *buffer, int64_t nr_bytes, idx_t location) override
    {
        auto *at = static_cast<char *>(buffer);
        while (nr_bytes > 0) {
            ssize_t put = pwrite(of(handle).fd, at, static_cast<size_t>(nr_bytes),
                                 static_cast<off_t>(location));
            if (put < 0 && errno == EINTR) {
                continue;
            }
            if (put <= 0) {
                throw_io("written");
            }
            at += put;
            nr_bytes -= put;
            location += static_cast<idx_t>(put);
        }
    }
    int64_t Write(FileHandle &handle, void *buffer, int64_t nr_bytes) override
    {
        Write(handle, buffer, nr_bytes, of(handle).position);
        of(handle).position += static_cast<idx_t>(nr_bytes);
        return nr_bytes;
    }
    void Truncate(FileHandle &handle, int64_t new_size) override
    {
        if (ftruncate(of(handle).fd, new_size) != 0) {
            throw_io("cut");
        }
    }
    void FileSync(FileHandle &) override
    {
    }
    int64_t GetFileSize(FileHandle &handle) override
    {
        struct stat status;
        if (fstat(of(handle).fd, &status) != 0) {
            throw_io("measured");
        }
        return status.st_size;
    }
    void Seek(FileHandle &handle, idx_t location) override
    {
        of(handle).position = location;
    }
    idx_t SeekPosition(FileHandle &handle) override
    {
        return of(handle).position;
    }
    bool CanSeek() override
    {
        return true;
    }
    bool OnDiskFile(FileHandle &) override
    {
        return true;
    }
    bool FileExists(const string &path, optional_ptr<FileOpener>) override
    {
        int fd = -1;
        if (spill.open(spill.context, name_of(path), false, &fd, nullptr) != ERR_OK) {
            return false;
        }
        (void)::close(fd);
        return true;
    }
    void RemoveFile(const string &path, optional_ptr<FileOpener>) override
    {
        struct errinfo info;
        errinfo_init(&info);
        enum err err = spill.remove(spill.context, name_of(path), &info);
        if (err != ERR_OK) {
            throw_errinfo(err, info);
        }
    }
    bool TryRemoveFile(const string &path, optional_ptr<FileOpener>) override
    {
        return spill.remove(spill.context, name_of(path), nullptr) == ERR_OK;
    }
    bool DirectoryExists(const string &, optional_ptr<FileOpener>) override
    {
        return true;
    }
    void CreateDirectory(const string &, optional_ptr<FileOpener>) override
    {
    }
    void RemoveDirectory(const string &, optional_ptr<FileOpener>) override
    {
    }

  protected:
    bool ListFilesExtended(const string &, const std::function<void(duckdb::OpenFileInfo &)> &,
                           optional_ptr<FileOpener>) override
    {
        return true;
    }
    bool SupportsListFilesExtended() const override
    {
        return true;
    }

  private:
    static spill_handle &of(FileHandle &handle)
    {
        return handle.Cast<spill_handle>();
    }
    static const char *name_of(const string &path)
    {
        return path.c_str() + (path.compare(0, FOLDER.size(), FOLDER) == 0 ? FOLDER.size() : 0);
    }

    const struct engine_spill spill;
};

duckdb::unique_ptr<FileSystem> make_spill_system(const struct engine_spill &spill)
{
    return duckdb::make_uniq<spill_file_system>(spill);
}

} // namespace moat
