/* The reader of the trail takes files that anybody may have written: no bytes may crash it, and what
 * it calls good must be a chain. */
#include "base/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "observe/audit_int.h"

static void check_tail(const uint8_t *data, size_t size)
{
    int fd = memfd_create("trail", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        (void)close(fd);
        return;
    }
    struct buf line CLEANUP(buf_fini) = {0};
    uint64_t end = 0;
    if (audit__last_line(fd, size, &line, &end, NULL) == ERR_OK) {
        ASSERT(end <= size && (end == 0 || data[end - 1] == '\n'));
        ASSERT(end == 0 || end == size || memchr(data + end, '\n', size - end) == NULL);
        ASSERT(line.len < end || end == 0);
        ASSERT(end == 0 || line.len == 0 || memcmp(data + end - 1 - line.len, line.ptr, line.len) == 0);
    }
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct audit_check check = {0};
    memset(check.head.hash, '0', AUDIT_HASH_HEX);
    size_t start = 0;
    const uint8_t *newline;
    while (start < size && (newline = memchr(data + start, '\n', size - start)) != NULL) {
        struct slice line = {(const char *)data + start, (size_t)(newline - data) - start};
        uint64_t before = check.head.seq;
        if (!audit__check_next(&check, line)) {
            ASSERT(check.problem[0] != '\0' && check.head.seq == before);
            break;
        }
        ASSERT(check.head.seq == before + 1 && check.records == check.line_count);
        start += line.len + 1;
    }
    struct audit_head head;
    (void)audit__parse_head((struct slice){(const char *)data, size}, &head);
    uint64_t seq;
    (void)audit__parse_file_name((struct slice){(const char *)data, size}, &seq);
    if (size <= 65536) {
        check_tail(data, size);
    }
    return 0;
}
