/* What a host gives up before it serves: privileges, files, network, other processes, memory
 * without end. What is left is to compute and to talk over the sockets that it has.
 *
 * The list of system calls is one of what is allowed; all else is EPERM, which the engine turns
 * into an error of the query. No file is ever opened after this, so there is no list of paths:
 * spill files come as descriptors (serve_grant.c). */
#include <errno.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/host/serve_int.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true /* its shadow memory is larger than any limit */
#else
#define IS_SANITIZED false
#endif

void confine__early(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* As root only, and no loss where it is refused: sockets cannot be made anyway. */
    (void)unshare(CLONE_NEWNET | CLONE_NEWIPC);
    (void)!chdir("/");
    (void)signal(SIGXFSZ, SIG_IGN); /* a full spill file is EFBIG */
    (void)signal(SIGINT, SIG_IGN);  /* Ctrl-C in a terminal is the broker's to handle */
}

static void limit(int resource, uint64_t value)
{
    struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    (void)setrlimit((__rlimit_resource_t)resource, &both);
}

static void set_limits(const struct host_hello *hello)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, 1024);
    limit(RLIMIT_FSIZE, hello->temp_bytes_max);
    if (hello->process_bytes_max > 0 && !IS_SANITIZED) {
        limit(RLIMIT_DATA, hello->process_bytes_max);
    }
}

/* A user that owns nothing. glibc moves all threads. */
static enum err change_user(uint32_t user_id, struct errinfo *info)
{
    if (user_id == UINT32_MAX) {
        return ERR_OK;
    }
    gid_t none = 0;
    if (setgroups(0, &none) != 0 || setresgid(user_id, user_id, user_id) != 0 ||
        setresuid(user_id, user_id, user_id) != 0 || getuid() != user_id) {
        enum err err =
            errinfo_set(info, ERR_DENIED, NULL, "an engine host cannot become user %u", user_id);
        errinfo_hint(info, "Set engine.host_user to -1 to let hosts run as the server's user.");
        return err;
    }
    (void)prctl(PR_SET_DUMPABLE, 0); /* both are reset by a new user */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return ERR_OK;
}

/* ---- system calls ---- */

static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(ftruncate),
    SCMP_SYS(futex),
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getcpu),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(membarrier),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getcwd),
    /* what threads do first: those of the engine may not have run yet */
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address),
};

/* No memory that another process could share, and none that code could run from. */
static int allow_memory(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp not_shared = SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, 0);
    int failed =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, not_executable, not_shared);
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable);
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mremap), 0);
    return failed;
}

/* abort() and nothing else: to itself. */
static int allow_abort(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp to_self = SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(), 0);
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, to_self);
}

/* 0 = this process and all its threads are confined. */
static int load_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return -ENOMEM;
    }
    int failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (size_t i = 0; i < ARRAY_COUNT(allowed) && failed == 0; i++) {
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    failed = failed != 0 ? failed : allow_memory(filter);
    failed = failed != 0 ? failed : allow_abort(filter);
    failed = failed != 0 ? failed : seccomp_load(filter);
    seccomp_release(filter);
    return failed;
}

enum err confine__late(const struct host_hello *hello, struct errinfo *info)
{
    TRY(change_user(hello->user_id, info));
    set_limits(hello);
    if (load_filter() != 0 && hello->is_confined) {
        enum err err = errinfo_set(info, ERR_UNSUPPORTED, NULL,
                                   "this system cannot confine engine hosts: no seccomp filter");
        errinfo_hint(info, "Use a kernel with CONFIG_SECCOMP_FILTER, or set "
                           "engine.host_confinement to false and know what that means.");
        return err;
    }
    return ERR_OK;
}
