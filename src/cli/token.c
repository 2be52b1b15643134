/* A person's own token, for a program that runs as nobody else. It comes from where only they can
 * read: never from the command line or the environment, which the machine shows to others. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cli/cli_int.h"

#define TOKEN_BYTES_MAX (64u * 1024)
#define END_OF_TEXT 3         /* Ctrl-C and Ctrl-D, which arrive as characters here */
#define END_OF_TRANSMISSION 4 /* (termios without ICANON and ISIG) */

/* ---- a file ---- */

static enum err refuse_file(const char *path, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, "28000", "the file \"%.200s\" cannot be used", path);
    errinfo_hint(info,
                 "It must be a file of yours that is closed to all others (chmod 600), of at "
                 "most %u bytes.",
                 TOKEN_BYTES_MAX);
    return ERR_DENIED;
}

/* Judged by its descriptor, so that it is not another one that is read. */
static bool is_private(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

static enum err read_file(const char *path, struct secret *text, size_t *ret_len,
                          struct errinfo *info)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    size_t len = 0;
    ssize_t count = -1;
    if (fd >= 0 && is_private(fd)) {
        do {
            count = read(fd, text->ptr + len, text->len - len);
            len += count > 0 ? (size_t)count : 0;
        } while ((count > 0 && len < text->len) || (count < 0 && errno == EINTR));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (count != 0) { /* an error, or more than there is room for */
        return refuse_file(path, info);
    }
    *ret_len = len;
    return ERR_OK;
}

/* ---- standard input ---- */

/* The characters of a line, one at a time: what follows it is somebody else's to read. */
static enum err read_line(bool is_terminal, struct secret *text, size_t *ret_len,
                          struct errinfo *info)
{
    size_t len = 0;
    for (;;) {
        char c = '\n';
        ssize_t count = read(STDIN_FILENO, &c, 1);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        bool is_cancel = is_terminal && c == END_OF_TEXT;
        if (count < 0 || is_cancel) {
            return errinfo_set(info, is_cancel ? ERR_CANCELLED : ERR_IO, NULL,
                               is_cancel ? "cancelled" : "cannot read standard input");
        }
        if (count == 0 || c == '\n' || c == '\r' || (is_terminal && c == END_OF_TRANSMISSION)) {
            *ret_len = len;
            return ERR_OK;
        }
        if (len == text->len) {
            return errinfo_set(info, ERR_LIMIT, NULL, "a secret has at most %u bytes",
                               TOKEN_BYTES_MAX);
        }
        text->ptr[len++] = c;
    }
}

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

/* Without lines of the terminal (which end at 4,095 bytes, less than some tokens), echo and
 * signals. */
static enum err prompt(const char *question, struct secret *text, size_t *ret_len,
                       struct errinfo *info)
{
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return read_line(false, text, ret_len, info);
    }
    struct termios quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0) {
        return errinfo_set(info, ERR_IO, NULL, "the terminal would show it");
    }
    say(question); /* not before: what is typed at once is neither shown nor lost */
    enum err err = read_line(true, text, ret_len, info);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    say("\n");
    return err;
}

/* ---- what it holds ---- */

static enum err refuse_text(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "what was given is no token");
    errinfo_hint(info, "Give the token alone, or a token endpoint's answer as JSON, with its "
                       "\"access_token\".");
    return ERR_INVALID;
}

/* A text of RFC 6749 needs no escapes, so that nothing of it is copied into the arena. */
static bool take(const struct json *answer, const char *key, struct slice document,
                 struct secret *ret_text)
{
    struct slice text = json_get_text(answer, key);
    bool is_view = text.ptr >= document.ptr && text.ptr <= document.ptr + document.len;
    return text.len == 0 || (is_view && secret_copy(text, ret_text));
}

static enum err read_answer(struct slice text, struct secret *ret_access,
                            struct secret *ret_refresh, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "token", 0);
    struct json *answer;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = json_parse(arena, text, NULL, &answer, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    bool is_read = err == ERR_OK && answer->type == JSON_OBJECT &&
                   take(answer, "access_token", text, ret_access) &&
                   take(answer, "refresh_token", text, ret_refresh);
    return is_read && ret_access->len > 0 ? ERR_OK : refuse_text(info);
}

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return text.len > 0;
}

enum err token_read(const char *path, struct secret *ret_access, struct secret *ret_refresh,
                    struct errinfo *info)
{
    struct secret text CLEANUP(secret_fini) = {0};
    struct secret access CLEANUP(secret_fini) = {0};
    struct secret refresh CLEANUP(secret_fini) = {0};
    size_t len = 0;
    if (!secret_new(TOKEN_BYTES_MAX, &text)) {
        return errinfo_nomem(info);
    }
    TRY(strcmp(path, "-") != 0      ? read_file(path, &text, &len, info)
        : isatty(STDIN_FILENO) == 1 ? prompt("Token: ", &text, &len, info)
                                    : read_line(false, &text, &len, info));
    struct slice read = slice_trim((struct slice){text.ptr, len});
    if (slice_starts_with(read, SLICE("{"))) {
        TRY(read_answer(read, &access, &refresh, info));
    } else if (!is_token(read)) {
        return refuse_text(info);
    } else if (!secret_copy(read, &access)) {
        return errinfo_nomem(info);
    }
    secret_replace(ret_access, &access);
    secret_replace(ret_refresh, &refresh);
    return ERR_OK;
}

enum err password_read(const char *path, const char *whose, struct secret *ret_password,
                       struct errinfo *info)
{
    struct secret text CLEANUP(secret_fini) = {0};
    struct secret password CLEANUP(secret_fini) = {0};
    char question[256];
    size_t len = 0;
    bool is_terminal = isatty(STDIN_FILENO) == 1;
    bool is_input = path == NULL || strcmp(path, "-") == 0;
    if (path == NULL && !is_terminal) {
        (void)errinfo_set(info, ERR_DENIED, "28000", "there is no terminal to ask for a password");
        errinfo_hint(info, "Give --password-file, or --token-file with a token or an API key.");
        return ERR_DENIED;
    }
    if (!secret_new(TOKEN_BYTES_MAX, &text)) {
        return errinfo_nomem(info);
    }
    (void)snprintf(question, sizeof(question), "Password of %.100s: ", whose);
    TRY(!is_input     ? read_file(path, &text, &len, info)
        : is_terminal ? prompt(question, &text, &len, info)
                      : read_line(false, &text, &len, info));
    while (len > 0 && (text.ptr[len - 1] == '\n' || text.ptr[len - 1] == '\r')) {
        len--; /* the end of a file's line; blanks may be meant */
    }
    if (len == 0 || memchr(text.ptr, '\0', len) != NULL) {
        return errinfo_set(info, ERR_INVALID, "22023", "what was given is no password");
    }
    if (!secret_copy((struct slice){text.ptr, len}, &password)) {
        return errinfo_nomem(info);
    }
    secret_replace(ret_password, &password);
    return ERR_OK;
}
