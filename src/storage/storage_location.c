/* Locations as people write them: schemes, file:// with percent codes, "~", relative paths. */
#include "storage/storage_int.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digits.h"
#include "storage/s3_int.h"

struct slice storage__base_name(struct slice location)
{
    while (location.len > 1 && location.ptr[location.len - 1] == '/') {
        location.len--;
    }
    for (size_t i = location.len; i > 0; i--) {
        if (location.ptr[i - 1] == '/' && location.len > 1) {
            return (struct slice){location.ptr + i, location.len - i};
        }
    }
    return location;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

struct slice storage__scheme_of(struct slice location)
{
    size_t len = 0;
    while (len < location.len) {
        char c = location.ptr[len];
        bool is_inner = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!is_letter(c) && (len == 0 || !is_inner)) {
            break;
        }
        len++;
    }
    struct slice rest = {location.ptr + len, location.len - len};
    return (struct slice){location.ptr, slice_starts_with(rest, SLICE("://")) ? len : 0};
}

/* One literal byte, so that the matcher takes it for itself. */
static void append_literal(struct buf *out, char c)
{
    if (c == '*' || c == '?' || c == '[') {
        buf_printf(out, "[%c]", c);
    } else {
        buf_append_char(out, c);
    }
}

static void append_literals(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        append_literal(out, *text);
    }
}

static enum err bad_percent(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "the location has a wrong percent code");
    errinfo_hint(info, "A percent sign in a file:// location is two hexadecimal digits: %%25 is "
                       "\"%%\" itself; %%00 and %%2F are not allowed.");
    return ERR_INVALID;
}

/* "file:///path" or "file://localhost/path". */
static enum err decode_file(struct slice rest, struct buf *out, struct errinfo *info)
{
    if (slice_starts_with_fold(rest, SLICE("localhost/"))) {
        rest = (struct slice){rest.ptr + 9, rest.len - 9};
    }
    if (rest.len == 0 || rest.ptr[0] != '/') {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "a file:// location names another host");
        errinfo_hint(info, "Write three slashes for a file of this machine: file:///folder/file.");
        return ERR_UNSUPPORTED;
    }
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.ptr[i] != '%') {
            buf_append_char(out, rest.ptr[i]);
            continue;
        }
        int high = i + 1 < rest.len ? digits_hex(rest.ptr[i + 1]) : -1;
        int low = i + 2 < rest.len ? digits_hex(rest.ptr[i + 2]) : -1;
        int value = high * 16 + low;
        if (high < 0 || low < 0 || value == 0 || value == '/') {
            return bad_percent(info);
        }
        append_literal(out, (char)value);
        i += 2;
    }
    return ERR_OK;
}

/* The home of the person who runs this process. */
static enum err append_home(struct buf *out, struct errinfo *info)
{
    const char *home = getenv("HOME");
    char text[4096];
    struct passwd entry;
    struct passwd *found = NULL;
    if (home == NULL || home[0] != '/') {
        int error = getpwuid_r(getuid(), &entry, text, sizeof(text), &found);
        if (error != 0 || found == NULL || found->pw_dir == NULL || found->pw_dir[0] != '/') {
            (void)errinfo_set(info, ERR_NOT_FOUND, "58P01", "\"~\" has no meaning here");
            errinfo_hint(info, "Set HOME, or write the location from \"/\".");
            return ERR_NOT_FOUND;
        }
        home = found->pw_dir;
    }
    append_literals(out, home);
    return ERR_OK;
}

static enum err append_path(struct slice pattern, struct buf *out, struct errinfo *info)
{
    if (pattern.ptr[0] == '~' && (pattern.len == 1 || pattern.ptr[1] == '/')) {
        TRY(append_home(out, info));
        pattern = (struct slice){pattern.ptr + 1, pattern.len - 1};
    } else if (pattern.ptr[0] != '/') {
        char folder[PATH_MAX];
        if (getcwd(folder, sizeof(folder)) == NULL) {
            (void)errinfo_set(info, ERR_IO, NULL, "the working folder cannot be named: %s",
                              errno == ENOENT ? "it was removed" : "its path cannot be read");
            errinfo_hint(info, "Write the location from \"/\".");
            return ERR_IO;
        }
        append_literals(out, folder);
        buf_append_char(out, '/');
    }
    buf_append_slice(out, pattern);
    return ERR_OK;
}

enum err storage__refuse_scheme(struct slice scheme, struct errinfo *info)
{
    struct slice store = s3__store_of(scheme);
    if (slice_equal_fold(scheme, SLICE("s3")) || slice_equal_fold(scheme, SLICE("s3a")) ||
        slice_equal_fold(scheme, SLICE("s3n"))) {
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "a location of storage \"%.*s\" cannot be opened by itself",
                          SLICE_ARGS(scheme));
        errinfo_hint(info, "Objects there are read as tables of a catalog that lends the person "
                           "credentials for them: ATTACH it.");
        return ERR_DENIED;
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      store.len > 0 ? "storage \"%.*s\" (%.*s) is not in this build"
                                    : "storage \"%.*s\"%.*s is not in this build",
                      SLICE_ARGS(scheme), SLICE_ARGS(store));
    errinfo_hint(info, "Locations are paths of this machine: /folder/*.parquet, ~/folder/file, "
                       "file:///folder/file; those of S3 come with a catalog.");
    return ERR_UNSUPPORTED;
}

enum err storage__local_pattern(struct slice pattern, struct arena *arena,
                                struct slice *ret_pattern, struct errinfo *info)
{
    if (pattern.len == 0 || memchr(pattern.ptr, '\0', pattern.len) != NULL) {
        return errinfo_set(info, ERR_INVALID, "22023", "the location is empty or has a NUL byte");
    }
    struct slice scheme = storage__scheme_of(pattern);
    struct buf out CLEANUP(buf_fini) = {0};
    if (scheme.len == 0) {
        TRY(append_path(pattern, &out, info));
    } else if (slice_equal_fold(scheme, SLICE("file"))) {
        TRY(decode_file((struct slice){pattern.ptr + 7, pattern.len - 7}, &out, info));
    } else {
        return storage__refuse_scheme(scheme, info);
    }
    if (buf_failed(&out) || !arena_slice(arena, buf_slice(&out), ret_pattern)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}
