/* The person the operating system runs this process for: from the user database by effective uid,
 * never from the environment, which the person can set. */
#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#include "base/mem.h"
#include "identity/identity.h"

#define ENTRY_BYTES_FIRST 1024u
#define ENTRY_BYTES_MAX (1024u * 1024)

static enum err find_entry(uid_t uid, char **buffer, struct passwd *entry,
                           struct passwd **ret_found, struct errinfo *info)
{
    for (size_t size = ENTRY_BYTES_FIRST; size <= ENTRY_BYTES_MAX; size *= 2) {
        char *larger = mem_realloc(*buffer, size);
        if (larger == NULL) {
            return errinfo_nomem(info);
        }
        *buffer = larger;
        int error;
        do {
            error = getpwuid_r(uid, entry, *buffer, size, ret_found);
        } while (error == EINTR);
        if (error == 0) {
            return ERR_OK;
        }
        if (error != ERANGE) {
            return errinfo_set(info, ERR_IO, NULL, "cannot read the user database");
        }
    }
    return errinfo_set(info, ERR_LIMIT, NULL, "the entry of user id %u is larger than %u bytes",
                       (unsigned)uid, ENTRY_BYTES_MAX);
}

enum err identity_os_user(struct arena *arena, struct slice *ret_name, struct errinfo *info)
{
    char *buffer CLEANUP(mem_free_cleanup) = NULL;
    struct passwd entry;
    struct passwd *found = NULL;
    uid_t uid = geteuid();
    TRY(find_entry(uid, &buffer, &entry, &found, info));
    if (found == NULL) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "28000", "user id %u has no name", (unsigned)uid);
        errinfo_hint(info, "Add it to the machine's user database: a warehouse belongs to a "
                           "person with a name.");
        return ERR_NOT_FOUND;
    }
    struct slice name = slice_of(found->pw_name);
    if (!identity_name_is_valid(name)) {
        return errinfo_set(info, ERR_INVALID, "28000", "the name of user id %u is not valid",
                           (unsigned)uid);
    }
    return arena_slice(arena, name, ret_name) ? ERR_OK : errinfo_nomem(info);
}
