/* Frames over a stream socket. What comes next is read ahead into a small buffer, so that a short
 * frame costs one system call; bodies go where they belong at once. */
#include "engine/host/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct header {
    uint32_t magic;
    uint32_t kind;
    uint64_t body_len;
};

#define FRAME_MAGIC 0x4D4F4154u /* "MOAT" */

void channel_init(struct channel *channel, int fd, bool takes_fds)
{
    channel->fd = fd;
    channel->takes_fds = takes_fds;
    channel->begin = channel->end = 0;
    channel->fd_count = 0;
}

void channel_fini(struct channel *channel)
{
    int fd;
    while ((fd = channel_take_fd(channel)) >= 0) {
        (void)close(fd);
    }
    if (channel->fd >= 0) {
        (void)close(channel->fd);
        channel->fd = -1;
    }
}

int channel_take_fd(struct channel *channel)
{
    if (channel->fd_count == 0) {
        return -1;
    }
    int fd = channel->fds[0];
    channel->fd_count--;
    memmove(channel->fds, channel->fds + 1, channel->fd_count * sizeof(int));
    return fd;
}

/* ---- sending ---- */

/* Drops the first `len` bytes of the parts. */
static void advance(struct msghdr *message, size_t len)
{
    while (message->msg_iovlen > 0 && len >= message->msg_iov->iov_len) {
        len -= message->msg_iov->iov_len;
        message->msg_iov++;
        message->msg_iovlen--;
    }
    if (message->msg_iovlen > 0) {
        message->msg_iov->iov_base = (char *)message->msg_iov->iov_base + len;
        message->msg_iov->iov_len -= len;
    }
}

static enum err send_message(struct channel *channel, struct msghdr *message, int flags)
{
    bool is_begun = false;
    advance(message, 0);
    while (message->msg_iovlen > 0) {
        ssize_t sent = sendmsg(channel->fd, message, MSG_NOSIGNAL | (is_begun ? 0 : flags));
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_BUSY : ERR_IO;
        }
        is_begun = true;
        message->msg_control = NULL; /* went with the first byte */
        message->msg_controllen = 0;
        advance(message, (size_t)sent);
    }
    return ERR_OK;
}

static enum err send_frame(struct channel *channel, uint32_t kind, const struct slice *parts,
                           size_t part_count, const int *fds, size_t fd_count, int flags)
{
    struct header header = {.magic = FRAME_MAGIC, .kind = kind};
    struct iovec vectors[CHANNEL_PARTS_MAX + 1] = {{&header, sizeof(header)}};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
    } control;
    ASSERT(part_count <= CHANNEL_PARTS_MAX && fd_count <= CHANNEL_FDS_MAX);
    for (size_t i = 0; i < part_count; i++) {
        header.body_len += parts[i].len;
        vectors[i + 1].iov_len = parts[i].len;
        memcpy(&vectors[i + 1].iov_base, &parts[i].ptr, sizeof(void *)); /* not written to */
    }
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = part_count + 1};
    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
    }
    return send_message(channel, &message, flags);
}

enum err channel_send(struct channel *channel, uint32_t kind, struct slice body)
{
    return send_frame(channel, kind, &body, 1, NULL, 0, 0);
}

enum err channel_send_parts(struct channel *channel, uint32_t kind, const struct slice *parts,
                            size_t part_count)
{
    return send_frame(channel, kind, parts, part_count, NULL, 0, 0);
}

enum err channel_send_fds(struct channel *channel, uint32_t kind, struct slice body, const int *fds,
                          size_t fd_count)
{
    return send_frame(channel, kind, &body, 1, fds, fd_count, 0);
}

enum err channel_try_send(struct channel *channel, uint32_t kind, struct slice body)
{
    return send_frame(channel, kind, &body, 1, NULL, 0, MSG_DONTWAIT);
}

/* ---- receiving ---- */

/* Descriptors that nobody waits for are closed: a peer must not be able to fill our table. */
static void keep_fds(struct channel *channel, struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (channel->fd_count < CHANNEL_FDS_MAX) {
                channel->fds[channel->fd_count++] = fd;
            } else {
                (void)close(fd);
            }
        }
    }
}

/* At least one byte into `bytes`. Without room for control data the kernel closes what comes. */
static enum err receive_some(struct channel *channel, void *bytes, size_t len, size_t *ret_len)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
    } control;
    struct iovec vector = {bytes, len};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (channel->takes_fds) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    ssize_t got;
    do {
        got = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return ERR_IO;
    }
    if (channel->takes_fds) {
        keep_fds(channel, &message);
    }
    *ret_len = (size_t)got;
    return ERR_OK;
}

enum err channel_read(struct channel *channel, void *ret_bytes, size_t len)
{
    char *at = ret_bytes;
    while (len > 0) {
        size_t ready = channel->end - channel->begin;
        if (ready > 0) {
            size_t part = ready < len ? ready : len;
            memcpy(at, channel->ahead + channel->begin, part);
            channel->begin += part;
            at += part;
            len -= part;
        } else if (len >= sizeof(channel->ahead)) {
            size_t got;
            TRY(receive_some(channel, at, len, &got));
            at += got;
            len -= got;
        } else {
            channel->begin = channel->end = 0;
            TRY(receive_some(channel, channel->ahead, sizeof(channel->ahead), &channel->end));
        }
    }
    return ERR_OK;
}

enum err channel_next(struct channel *channel, size_t body_max, struct frame *ret_frame)
{
    struct header header;
    TRY(channel_read(channel, &header, sizeof(header)));
    if (header.magic != FRAME_MAGIC || header.body_len > body_max) {
        return ERR_CORRUPT;
    }
    *ret_frame = (struct frame){header.kind, (size_t)header.body_len};
    return ERR_OK;
}

enum err channel_receive(struct channel *channel, size_t body_max, struct frame *ret_frame,
                         struct buf *ret_body)
{
    enum {
        STEP = 1 << 20 /* room is made as bytes come, not as they are promised */
    };
    struct frame frame;
    TRY(channel_next(channel, body_max, &frame));
    buf_reset(ret_body);
    for (size_t left = frame.body_len; left > 0;) {
        size_t part = left < STEP ? left : STEP;
        char *room = buf_reserve(ret_body, part);
        if (room == NULL) {
            return ERR_NOMEM;
        }
        TRY(channel_read(channel, room, part));
        ret_body->len += part;
        left -= part;
    }
    char *end = buf_reserve(ret_body, 1); /* what a buf holds ends with NUL */
    if (end == NULL) {
        return ERR_NOMEM;
    }
    *end = '\0';
    *ret_frame = frame;
    return ERR_OK;
}
