/* This test program as a host: after the real start and the real confinement it tries to get out,
 * or says to the broker what no host would. The text of a parse request says which. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/host/host.h"
#include "engine/host/probe.h"
#include "engine/host/serve_int.h"

/* ---- trying to get out ---- */

static void note(struct buf *out, const char *what, long result)
{
    buf_printf(out, "%s %s\n", what, result < 0 ? "refused" : "DONE");
}

static void try_files(struct buf *out)
{
    char bytes[16];
    note(out, "open /etc/passwd", open("/etc/passwd", O_RDONLY));
    note(out, "open for writing", open("/tmp/moat-escape", O_CREAT | O_WRONLY, 0600));
    note(out, "openat2", syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0));
    note(out, "stat", access("/etc/passwd", F_OK));
    note(out, "unlink", unlink("/tmp/moat-escape"));
    note(out, "readlink", readlink("/proc/self/exe", bytes, sizeof(bytes)));
    note(out, "io_uring", syscall(SYS_io_uring_setup, 4, NULL));
    note(out, "memfd", memfd_create("x", 0));
}

static void try_network(struct buf *out)
{
    int pair[2];
    note(out, "socket", socket(AF_INET, SOCK_STREAM, 0));
    note(out, "socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    note(out, "connect", connect(HOST_FD, NULL, 0));
    note(out, "bind", bind(HOST_FD, NULL, 0));
}

static void try_processes(struct buf *out)
{
    pid_t broker = getppid(); /* refused too: then it is -1 */
    char bytes[16];
    struct iovec here = {bytes, sizeof(bytes)};
    struct iovec there = {&errno, sizeof(bytes)};
    char name[] = "sh";
    char *const arguments[] = {name, NULL};
    note(out, "getppid", broker);
    note(out, "fork", syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
    note(out, "vfork", syscall(SYS_clone3, NULL, 0));
    note(out, "execve", execve("/bin/sh", arguments, NULL));
    note(out, "ptrace", ptrace(PTRACE_ATTACH, probe_broker_pid, NULL, NULL));
    note(out, "read broker", process_vm_readv(probe_broker_pid, &here, 1, &there, 1, 0));
    note(out, "write broker", process_vm_writev(probe_broker_pid, &here, 1, &there, 1, 0));
    note(out, "kill broker", kill(probe_broker_pid, SIGTERM));
    note(out, "pidfd", syscall(SYS_pidfd_open, probe_broker_pid, 0));
}

static void try_privileges(struct buf *out)
{
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    note(out, "setuid", syscall(SYS_setuid, 0));
    note(out, "unshare", unshare(CLONE_NEWUSER));
    note(out, "bpf", syscall(SYS_bpf, 0, NULL, 0));
    note(out, "shared memory", shared == MAP_FAILED ? -1 : 0);
    note(out, "executable memory", code == MAP_FAILED ? -1 : 0);
    note(out, "chroot", chroot("/"));
    note(out, "prctl", syscall(SYS_prctl, 1, 0, 0, 0, 0));
    note(out, "setrlimit", syscall(SYS_prlimit64, 0, 3, NULL, NULL));
}

static void escape(struct server *server)
{
    struct buf out CLEANUP(buf_fini) = {0};
    try_files(&out);
    try_network(&out);
    try_processes(&out);
    try_privileges(&out);
    serve__reply(&server->control, ERR_OK, NULL, buf_slice(&out));
}

/* ---- lying ---- */

/* The start of a frame that promises more than anybody may hold. */
static void send_raw(int fd, uint32_t magic, uint64_t len)
{
    struct {
        uint32_t magic;
        uint32_t kind;
        uint64_t len;
    } header = {magic, MESSAGE_DONE, len};
    (void)!write(fd, &header, sizeof(header));
}

/* A request on a lane; what the broker does is what the test looks at. */
static void ask_lane(struct server *server, uint32_t kind, const struct buf *body)
{
    struct frame frame;
    struct buf reply CLEANUP(buf_fini) = {0};
    (void)!channel_send(&server->lanes[0].channel, kind, buf_slice(body));
    (void)!channel_receive(&server->lanes[0].channel, HOST_REQUEST_BYTES_MAX, &frame, &reply);
}

static void lie_on_lane(struct server *server, struct slice how)
{
    struct buf body CLEANUP(buf_fini) = {0};
    struct host_read read = {.grant = 1, .scan = UINT64_MAX, .len = 100};
    uint32_t kind = MESSAGE_READ;
    if (slice_equal(how, SLICE("lane long read"))) {
        read.len = UINT64_MAX;
    } else if (slice_equal(how, SLICE("lane wild buffer"))) {
        read.buffer_at = 12345;
    } else if (slice_equal(how, SLICE("lane kind"))) {
        kind = 4711;
    }
    host_put_read(&body, &read);
    if (slice_equal(how, SLICE("lane spill name"))) {
        buf_reset(&body);
        kind = MESSAGE_SPILL_REMOVE;
        wire_put_slice(&body, SLICE("../../etc/passwd"));
    } else if (slice_equal(how, SLICE("lane dead"))) {
        buf_reset(&body);
        kind = MESSAGE_DEAD;
        for (int i = 0; i < 5; i++) {
            wire_put_i64(&body, -1);
        }
    } else if (slice_equal(how, SLICE("lane short"))) {
        body.len = 3;
    }
    ask_lane(server, kind, &body);
    /* What asks for no grant of its own must get an answer, and then nothing is wrong. */
    serve__reply(&server->control, ERR_OK, NULL, SLICE("went on"));
}

static void misbehave(struct server *server, struct slice how)
{
    struct buf body CLEANUP(buf_fini) = {0};
    int control = server->control.fd;
    if (slice_equal(how, SLICE("escape"))) {
        escape(server);
    } else if (slice_equal(how, SLICE("garbage"))) {
        (void)!write(control, "garbage that is longer than a header", 36);
    } else if (slice_equal(how, SLICE("huge"))) {
        send_raw(control, 0x4D4F4154u, UINT64_MAX);
    } else if (slice_equal(how, SLICE("cut"))) {
        send_raw(control, 0x4D4F4154u, 1000);
        (void)!write(control, "short", 5);
        _exit(3);
    } else if (slice_equal(how, SLICE("exit"))) {
        _exit(7);
    } else if (slice_equal(how, SLICE("crash"))) {
        __builtin_trap();
    } else if (slice_equal(how, SLICE("no error"))) {
        wire_put_u32(&body, ERR_OK);
        (void)!channel_send(&server->control, MESSAGE_FAILED, buf_slice(&body));
    } else if (slice_equal(how, SLICE("kind"))) {
        (void)!channel_send(&server->control, 4711, SLICE(""));
    } else if (slice_equal(how, SLICE("silence"))) {
        /* until the broker has had enough */
    } else {
        lie_on_lane(server, how);
    }
}

pid_t probe_broker_pid;

/* Before main, so that the test program can be its own host. */
__attribute__((constructor)) static void become_host(int argc, char **argv)
{
    static struct server server;
    struct buf body = {0};
    if (!engine_host_is_asked(argc, argv)) {
        return;
    }
    probe_broker_pid = getppid();
    serve__start(&server);
    for (;;) {
        struct frame frame;
        if (channel_receive(&server.control, HOST_REQUEST_BYTES_MAX, &frame, &body) != ERR_OK) {
            serve__end();
        }
        struct wire in = wire_of(buf_slice(&body));
        (void)wire_u64(&in);
        misbehave(&server, wire_slice(&in));
    }
}
