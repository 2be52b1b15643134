/* From the command line to an open session. */
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cli/cli_int.h"
#include "query/login.h"

extern char **environ;

static enum cli_exit fail(struct cli *cli, const struct errinfo *info, enum cli_exit code)
{
    cli_report(cli, info);
    return info->code == ERR_CANCELLED ? EXIT_CANCELLED : code;
}

static enum err read_config(struct cli *cli, struct config **ret_config, struct errinfo *info)
{
    const struct cli_options *options = &cli->options;
    const char **sets = options->sets; /* has room for one more */
    size_t set_count = options->set_count;
    if (options->warehouse != NULL) {
        char *set = arena_printf(cli->arena, "warehouse.path=%s", options->warehouse);
        if (set == NULL) {
            return errinfo_nomem(info);
        }
        sets[set_count++] = set;
    }
    const struct config_sources sources = {
        .file = options->config, .environment = environ, .sets = sets, .set_count = set_count};
    return config_load_warehouse(&sources, ret_config, info);
}

enum err cli_read_config(void *context, struct config **ret_config, struct errinfo *info)
{
    return read_config(context, ret_config, info);
}

enum cli_exit cli_load_config(struct cli *cli)
{
    struct errinfo info;
    errinfo_init(&info);
    if (read_config(cli, &cli->config, &info) != ERR_OK) {
        return fail(cli, &info, EXIT_CONFIG);
    }
    enum log_level level;
    if (log_level_parse(slice_of(config_text(cli->config, CONFIG_LOG_LEVEL)), &level)) {
        log_set_level(level);
    }
    return EXIT_OK;
}

static enum err log_in(struct cli *cli, struct slice as, struct identity **ret_who,
                       struct errinfo *info)
{
    struct secret access CLEANUP(secret_fini) = {0};
    struct secret refresh CLEANUP(secret_fini) = {0};
    bool is_again = cli->session != NULL;
    if (cli->remote != NULL) {
        return errinfo_set(info, ERR_DENIED, "28000",
                           "a connection is one person's: connect again as another");
    }
    if (cli->options.token == NULL) {
        return warehouse_login_local(cli->warehouse, as, ret_who, info);
    }
    if (is_again) {
        return errinfo_set(info, ERR_DENIED, "28000",
                           "the token says who asks, as long as this program runs");
    }
    TRY(token_read(cli->options.token, &access, &refresh, info));
    return warehouse_login_token(cli->warehouse, secret_slice(&access), secret_slice(&refresh),
                                 ret_who, info);
}

enum err cli_login(struct cli *cli, struct slice as, struct errinfo *info)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct session *session;
    TRY(log_in(cli, as, &who, info));
    TRY(session_open(cli->warehouse, who, &session, info));
    if (cli->session != NULL) {
        session_close(cli->session);
    }
    if (cli->who != NULL) {
        identity_unref(cli->who);
    }
    cli->session = session;
    cli->who = TAKE(who);
    return ERR_OK;
}

enum cli_exit cli_open(struct cli *cli, bool is_init)
{
    struct errinfo info;
    errinfo_init(&info);
    /* The usual folder is made on first use; one that was named must be there, or it is a typing
     * error that would open an empty warehouse. */
    bool is_usual = strcmp(config_source(cli->config, CONFIG_WAREHOUSE_PATH), "default") == 0;
    const struct warehouse_options options = {.config = cli->config,
                                              .create_if_missing = is_init || is_usual};
    if (warehouse_open(&options, &cli->warehouse, &info) != ERR_OK) {
        if (info.code == ERR_NOT_FOUND && info.hint[0] == '\0') {
            errinfo_hint(&info, "`moat init DIR` makes a warehouse");
        }
        return fail(cli, &info, EXIT_WAREHOUSE);
    }
    if (is_init) {
        return EXIT_OK;
    }
    if (cli_login(cli, slice_of(cli->options.as), &info) != ERR_OK) {
        return fail(cli, &info, EXIT_WAREHOUSE);
    }
    return EXIT_OK;
}

void cli_close(struct cli *cli)
{
    remote_close(cli->remote);
    if (cli->session != NULL) {
        session_close(cli->session);
    }
    if (cli->who != NULL) {
        identity_unref(cli->who);
    }
    if (cli->warehouse != NULL) {
        warehouse_close(cli->warehouse);
    }
    watch_stop(cli->watch);
    config_free(cli->config);
    sink_close(&cli->out);
    sink_close(&cli->err);
}
