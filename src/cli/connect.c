/* The shell and scripts over a connection: a server's door in the place of a warehouse here. */
#include "base/mem.h"
#include "base/secret.h"
#include "cli/cli_int.h"
#include "cli/text.h"

static enum err sign_in(struct cli *cli, struct errinfo *info)
{
    const struct cli_options *options = &cli->options;
    struct secret secret CLEANUP(secret_fini) = {0};
    struct secret ignored CLEANUP(secret_fini) = {0};
    struct slice user;
    TRY(remote_address_parse(options->connect, cli->arena, &cli->address, info));
    if (cli->address.user != NULL) {
        user = slice_of(cli->address.user);
    } else {
        TRY(identity_os_user(cli->arena, &user, info));
        cli->address.user = arena_slicedup(cli->arena, user);
    }
    if (options->token != NULL) {
        TRY(token_read(options->token, &secret, &ignored, info));
    } else {
        TRY(password_read(options->password, cli->address.user, &secret, info));
    }
    struct remote_options remote = {.address = &cli->address,
                                    .user = user,
                                    .secret = secret_slice(&secret),
                                    .is_token = options->token != NULL,
                                    .is_watched = cli->err.is_terminal && !options->is_quiet};
    return remote_open(&remote, &cli->remote, info);
}

/* What HTTP's doors find out with the first statement is to be known before a prompt is shown. */
static enum err try_out(struct cli *cli, struct errinfo *info)
{
    struct remote_answer *answer CLEANUP(remote_answer_cleanup) = NULL;
    struct ArrowArray batch;
    TRY(remote_run(cli->remote, SLICE("SELECT 1"), &answer, info));
    for (;;) { /* to its end: what is left unread would be cancelled */
        TRY(remote_answer_next(answer, &batch, info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        batch.release(&batch);
    }
}

enum cli_exit cli_connect(struct cli *cli)
{
    struct errinfo info;
    errinfo_init(&info);
    enum err err = sign_in(cli, &info);
    err = err != ERR_OK ? err : try_out(cli, &info);
    if (err == ERR_OK) {
        return EXIT_OK;
    }
    cli_report(cli, &info);
    return err == ERR_CANCELLED ? EXIT_CANCELLED : EXIT_WAREHOUSE;
}

void cli_print_person(const struct cli *cli, struct buf *out)
{
    struct slice name = {"", 0};
    if (cli->remote != NULL) {
        name = slice_of(cli->options.token == NULL ? cli->address.user : cli->address.host);
    } else if (identity_actor(session_identity(cli->session)).len > 0) {
        name = identity_subject(session_identity(cli->session));
    }
    if (name.len > 0) {
        buf_append_char(out, '(');
        text_escape(out, name, KEEP_NOTHING);
        buf_append_char(out, ')');
    }
}
